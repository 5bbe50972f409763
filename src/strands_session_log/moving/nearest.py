"""Values as Strands' own files can hold them.

The log keeps decimals, dates, sets and lone surrogates as what they are; `FileSessionManager` would refuse them, or
bring something else back. Each is put in the nearest form it can hold, and each such loss is told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from strands.types.session import encode_bytes_values

_BYTES = "__bytes_encoded__"


@dataclass(frozen=True, slots=True)
class Loss:
    """A value that does not come back as what it was.

    Attributes:
        path: Where it stands, for example `agents.default.messages[3].message.content[0].text`.
        what: What became of it.
    """

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


class Nearest:
    """Puts values in the nearest form Strands' files hold, and collects what is lost by that.

    Args:
        decodes: Whether Strands decodes bytes when it reads the file; it does not in the state of graphs and swarms.
    """

    def __init__(self, decodes: bool = True) -> None:
        self._decodes = decodes
        self.losses: list[Loss] = []

    def __call__(self, value: Any, path: str) -> Any:
        """The value, with containers of its own."""
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self._text(value, path)
            case bytes() | bytearray():
                return self._bytes(value, path)
            case Mapping():
                return self._mapping(value, path)
            case list() | tuple():
                return [self(item, f"{path}[{number}]") for number, item in enumerate(value)]
            case set() | frozenset():
                return self(self._told(path, value, "a list", lambda: sorted(value, key=repr)), path)
        return self._told(path, value, "text", lambda: str(value))

    def _text(self, value: str, path: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            escaped = value.encode("utf-8", "backslashreplace").decode()
            self.losses.append(Loss(path, "its lone surrogates became escape sequences"))
            return escaped
        return value

    def _bytes(self, value: bytes | bytearray, path: str) -> Any:
        if isinstance(value, bytearray):
            value = self._told(path, value, "bytes", lambda: bytes(value))
        if self._decodes:
            return value
        # Orchestrators decode the bytes of their task themselves, and of nothing else.
        if path.partition(".current_task")[1] == "":
            self.losses.append(Loss(path, "bytes became an object with their base64"))
        return encode_bytes_values(value)

    def _mapping(self, value: Mapping[str, Any], path: str) -> Any:
        if self._decodes and value.get(_BYTES) is True and "data" in value:
            self.losses.append(Loss(path, "an object that Strands would take for bytes became text"))
            return json.dumps(value, default=str)
        return {name: self(item, f"{path}.{name}") for name, item in value.items()}

    def _told(self, path: str, value: Any, became: str, convert: Callable[[], Any]) -> Any:
        self.losses.append(Loss(path, f"{type(value).__name__} became {became}"))
        return convert()
