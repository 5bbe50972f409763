"""Between Python values and the text that stands in a stream entry. Pure: no I/O, no clients."""

from .bodies import compressed, text_of
from .envelope import (
    FIELDS,
    Encoded,
    Entry,
    decode,
    encode,
    encode_text,
    parse,
    reissued,
    renumbered,
    retained,
    with_member,
    without_member,
)
from .plain import text_alone
from .rows import RawEntry, Row, fields_of, id_of, kind_of, recorded, rows, told_of
from .sealed import nameless, sealed_facts
from .values import MARK, from_json, to_json

__all__ = [
    "FIELDS",
    "MARK",
    "Encoded",
    "Entry",
    "RawEntry",
    "Row",
    "compressed",
    "decode",
    "encode",
    "encode_text",
    "fields_of",
    "from_json",
    "id_of",
    "kind_of",
    "nameless",
    "parse",
    "recorded",
    "reissued",
    "renumbered",
    "retained",
    "rows",
    "sealed_facts",
    "text_alone",
    "text_of",
    "to_json",
    "told_of",
    "with_member",
    "without_member",
]
