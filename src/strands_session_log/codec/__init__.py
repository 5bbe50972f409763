"""Between Python values and the text that stands in a stream entry. Pure: no I/O, no clients."""

from .envelope import FIELDS, Encoded, Entry, decode, encode, parse, remains
from .values import from_json, to_json

__all__ = ["FIELDS", "Encoded", "Entry", "decode", "encode", "from_json", "parse", "remains", "to_json"]
