"""Python values as JSON and back, without loss.

JSON has no bytes, decimals, dates, NaN or lone surrogates, and orjson turns NaN into null without a word. Values it
cannot hold are wrapped in a small marked object: bytes the way Strands itself does
(`{"__bytes_encoded__": true, "data": base64}`, `strands.types.session.encode_bytes_values`), everything else as
`{"__encoded__": kind, "data": …}`. A dict of the user's own that carries one of these marks is wrapped as well, so it
comes back as the dict it was. Tuples come back as lists (in sets as tuples) and numeric keys as text, as they do from
Strands' own `FileSessionManager`. Anything else is refused with the path of the value, before anything is written.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from ..errors import EncodingError, shown

MAX_DEPTH = 120
"""Nesting accepted; orjson gives up at 254, a wrapped dict or set takes two of them, and a wrapped value one more."""
_TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels, or contains itself"

MARK = "_encoded__"
"""Stands in every wrapped value, and so in the text of every body that needs `from_json`."""

_BYTES = "__bytes_encoded__"
WRAPPED = "__encoded__"
"""Stands in what a value is wrapped in that JSON does not have, and in no dict of the user's that is not wrapped."""
_INT64 = 1 << 63
_SCALARS = frozenset((str, int, float, bool, type(None)))
_BASES = (
    *(str, bool, int, float, bytes, bytearray, datetime, date, time, Decimal),
    *(Mapping, list, tuple, set, frozenset),
)


class _Unstorable(Exception):
    """Carries the path of the culprit upwards, one step a level."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: list[str] = []


def to_json(value: Any, path: str = "") -> Any:
    """Turn a Python value into plain JSON values that orjson stores exactly.

    Args:
        value: Any nesting of the types this module names.
        path: What to call the value in an error.

    Returns:
        New containers; the argument is left alone.

    Raises:
        EncodingError: When a value cannot be stored; names the path to it.
    """
    try:
        return (_ENCODERS.get(type(value)) or _encoder_of_base(value))(value, 0)
    except _Unstorable as culprit:
        where = path + "".join(reversed(culprit.path[-20:]))
        raise EncodingError(where.lstrip("."), culprit.reason) from None
    except RecursionError:
        raise EncodingError(path, "it is nested deeper than this thread's stack has room for") from None


def from_json(value: Any) -> Any:
    """Restore what `to_json` was given; tuples are lists now, and keys are text.

    Args:
        value: Plain JSON values, as orjson loads them.
    """
    kind = type(value)
    if kind is list:
        made = value.copy()
        for at, item in enumerate(value):
            if type(item) not in _SCALARS:
                made[at] = from_json(item)
        return made
    if kind is not dict:
        return value
    if _BYTES in value or WRAPPED in value:
        return _restored(value)
    found = value.copy()
    for key, item in value.items():
        if type(item) not in _SCALARS:
            found[key] = from_json(item)
    return found


def _restored(value: dict[str, Any]) -> Any:
    if value.get(_BYTES) is True and isinstance(value.get("data"), str):
        return base64.b64decode(value["data"])
    if isinstance(value.get(WRAPPED), str) and value[WRAPPED] in _DECODERS:
        return _DECODERS[value[WRAPPED]](value.get("data"))
    return {key: from_json(item) for key, item in value.items()}


def _encoder_of_base(value: Any) -> Callable[[Any, int], Any]:
    for base in _BASES:
        if isinstance(value, base):
            return _ENCODERS[dict if base is Mapping else base]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encode_dataclass
    raise _Unstorable(f"values of type {type(value).__module__}.{type(value).__qualname__} are not supported")


def _wrap(kind: str, data: Any) -> dict[str, Any]:
    return {WRAPPED: kind, "data": data}


def _encode_text(value: str, depth: int) -> Any:
    text = value if type(value) is str else str.__str__(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _wrap("text", base64.b64encode(text.encode("utf-8", "surrogatepass")).decode())
    return text


def _encode_int(value: int, depth: int) -> Any:
    return int(value) if -_INT64 <= value < _INT64 else _wrap("int", hex(int(value)))


def _encode_float(value: float, depth: int) -> Any:
    return float(value) if math.isfinite(value) else _wrap("float", repr(float(value)))


def _encode_dict(value: Mapping[Any, Any], depth: int) -> Any:
    if depth >= MAX_DEPTH:
        raise _Unstorable(_TOO_DEEP)
    result: dict[str, Any] = {}
    try:
        for key, item in value.items():
            try:
                name, kind = key if type(key) is str and key.isascii() else _key(key), type(item)
                # Most values are these: a call for each of them would be half of the time this takes.
                if (kind is str and item.isascii()) or (kind is int and -_INT64 <= item < _INT64) or item is None:
                    result[name] = item
                else:
                    result[name] = (_ENCODERS.get(kind) or _encoder_of_base(item))(item, depth + 1)
            except _Unstorable as culprit:
                culprit.path.append(f".{key if isinstance(key, str) else shown(key)}")
                raise
    except RuntimeError as error:
        raise _changed(error) from error
    return _wrap("dict", result) if _BYTES in result or WRAPPED in result else result


def _encode_list(value: Any, depth: int, encode: Callable[[Any, int], Any] | None = None) -> list[Any]:
    if depth >= MAX_DEPTH:
        raise _Unstorable(_TOO_DEEP)
    result = []
    try:
        for index, item in enumerate(value):
            try:
                encode_one = encode or _ENCODERS.get(type(item)) or _encoder_of_base(item)
                result.append(encode_one(item, depth + 1))
            except _Unstorable as culprit:
                culprit.path.append(f"[{index}]")
                raise
    except RuntimeError as error:
        raise _changed(error) from error
    return result


def _changed(error: RuntimeError) -> Exception:
    """What iterating raises when another thread adds or removes something; a full stack is another matter."""
    return error if isinstance(error, RecursionError) else _Unstorable("it changed while it was stored")


def _encode_set(value: set[Any] | frozenset[Any], depth: int) -> Any:
    members = _encode_list(value, depth, _encode_member)
    return _wrap("frozenset" if isinstance(value, frozenset) else "set", sorted(members, key=orjson.dumps))


def _encode_member(value: Any, depth: int) -> Any:
    encoded = (_ENCODERS.get(type(value)) or _encoder_of_base(value))(value, depth)
    try:
        hash(_member(encoded))
    except TypeError:
        raise _Unstorable(f"a {type(value).__qualname__} could not be put into a set when it is read back") from None
    return encoded


def _encode_dataclass(value: Any, depth: int) -> Any:
    missing = [field.name for field in dataclasses.fields(value) if not hasattr(value, field.name)]
    if missing:
        raise _Unstorable(f"its field {missing[0]} has no value")
    return _encode_dict({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, depth)


def _encode_moment(base: Any) -> Callable[[Any, int], Any]:
    """By what every moment is, whatever a subclass writes; one that is no moment (pandas' NaT) differs from itself."""

    def encode(value: Any, depth: int) -> Any:
        try:
            text = base.isoformat(value)
            is_faithful = base.isoformat(base.fromisoformat(text)) == text and bool(value == value)
        except Exception as error:
            raise _Unstorable(f"{type(value).__qualname__} has no ISO text: {error}") from error
        if not is_faithful:
            raise _Unstorable(f"{type(value).__qualname__} {text} would not read back as it is")
        return _wrap(base.__name__, text)

    return encode


def _key(key: Any) -> str:
    """The text `json.dumps` gives a key, so that sessions moved from file storage look the same."""
    match key:
        case str():
            if isinstance(_encode_text(key, 0), dict):
                raise _Unstorable("a key holds a lone surrogate")
            return str.__str__(key)
        case True | False | None:
            return {True: "true", False: "false", None: "null"}[key]
        case int() if not -_INT64 <= key < _INT64:
            return _long(key)
        case int() | float():
            return json.dumps(key)
    raise _Unstorable(f"keys of type {type(key).__name__} are not supported")


def _long(key: int) -> str:
    try:
        return int.__repr__(key)
    except ValueError:
        raise _Unstorable("a key is an integer too long to be written as text") from None


_ENCODERS: dict[type, Callable[[Any, int], Any]] = {
    str: _encode_text,
    type(None): lambda value, depth: value,
    bool: lambda value, depth: value,
    int: _encode_int,
    float: _encode_float,
    dict: _encode_dict,
    list: _encode_list,
    tuple: _encode_list,
    bytes: lambda value, depth: {_BYTES: True, "data": base64.b64encode(value).decode()},
    bytearray: lambda value, depth: _wrap("bytearray", base64.b64encode(value).decode()),
    Decimal: lambda value, depth: _wrap("decimal", Decimal.__str__(value)),
    datetime: _encode_moment(datetime),
    date: _encode_moment(date),
    time: _encode_moment(time),
    UUID: lambda value, depth: _wrap("uuid", str(value)),
    set: _encode_set,
    frozenset: _encode_set,
}

_DECODERS: dict[str, Callable[[Any], Any]] = {
    "text": lambda data: base64.b64decode(data).decode("utf-8", "surrogatepass"),
    "int": lambda data: int(data, 16),
    "float": float,
    "dict": lambda data: {key: from_json(item) for key, item in data.items()},
    "bytearray": lambda data: bytearray(base64.b64decode(data)),
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "uuid": UUID,
    "set": lambda data: {_member(item) for item in data},
    "frozenset": lambda data: frozenset(_member(item) for item in data),
}


def _member(item: Any) -> Any:
    """Restore a member of a set: what was a tuple must be one again, at any depth."""
    return tuple(_member(one) for one in item) if isinstance(item, list) else from_json(item)
