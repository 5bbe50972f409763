"""What can be asked of the API beside an address: each parameter reads itself, and tells OpenAPI what it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

MOST_REVISIONS: Final = 999_999_999_999_999
_LONGEST_TEXT: Final = 1_024
_MOST_VALUES: Final = 32
_TEXT: Final[Mapping[str, Any]] = {"minLength": 1, "maxLength": _LONGEST_TEXT}


@dataclass(frozen=True)
class QueryParameter:
    """One parameter of a query.

    Attributes:
        name: Its name.
        what: What it is for.
        schema: What it takes, as JSON Schema.
        default: What it is when it is not given.
    """

    name: str
    what: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string", **_TEXT})
    default: Any = None

    def read(self, given: Sequence[str]) -> Any:
        """What was given, as what it means.

        Args:
            given: All values under its name.

        Raises:
            HTTPException: When that is nothing it takes.
        """
        if self.schema["type"] == "array":
            return [self._text(one) for one in given] if len(given) <= _MOST_VALUES else self._refuse("too many")
        if not given:
            return self.default
        if len(given) > 1:
            self._refuse("given more than once")
        match self.schema["type"]:
            case "integer":
                return whole(self.name, given[0], self.schema["minimum"], self.schema["maximum"])
            case "boolean":
                return self._one_of(given[0], ("true", "false")) == "true"
        return self._one_of(given[0], self.schema["enum"]) if "enum" in self.schema else self._text(given[0])

    def _text(self, text: str) -> str:
        if not 0 < len(text) <= _LONGEST_TEXT:
            self._refuse(f"has {len(text):,} characters; 1 to {_LONGEST_TEXT:,} may be given")
        return text

    def _one_of(self, text: str, known: Sequence[str]) -> str:
        if text not in known:
            self._refuse(f"is {text[:80]!r}; it can be {', '.join(known)}")
        return text

    def _refuse(self, why: str) -> Any:
        raise HTTPException(400, f"{self.name}: {why}.")

    def to_openapi(self) -> dict[str, Any]:
        """As an OpenAPI document has it."""
        schema = dict(self.schema) if self.default is None else {**self.schema, "default": self.default}
        return {"name": self.name, "in": "query", "description": self.what, "required": False, "schema": schema}


def limit(default: int, most: int) -> QueryParameter:
    """How many are asked for."""
    schema = {"type": "integer", "minimum": 1, "maximum": most}
    return QueryParameter("limit", "How many at most.", schema, default)


def choice(name: str, what: str, known: Sequence[str], default: str | None = None) -> QueryParameter:
    """One of some words."""
    return QueryParameter(name, what, {"type": "string", "enum": list(known)}, default)


def several(name: str, what: str) -> QueryParameter:
    """A parameter that may be given more than once."""
    items = {"type": "string", **_TEXT}
    return QueryParameter(name, what, {"type": "array", "items": items, "maxItems": _MOST_VALUES})


def whole(name: str, text: str, least: int, most: int) -> int:
    """A whole number that text stands for.

    Raises:
        HTTPException: When it is none, or not one of those.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and least <= int(text) <= most):
        raise HTTPException(400, f"{name} is {text[:80]!r}; it can be a whole number from {least:,} to {most:,}.")
    return int(text)


def read_query(given: QueryParams, known: Sequence[QueryParameter]) -> dict[str, Any]:
    """What a query asks for, by the name of each parameter.

    Raises:
        HTTPException: When something is given that is not known, or means nothing.
    """
    unknown = set(given) - {one.name for one in known}
    if unknown:
        names = ", ".join(one.name for one in known) or "none"
        raise HTTPException(400, f"There is no parameter {min(unknown)[:80]!r}; there are: {names}.")
    return {one.name: one.read(given.getlist(one.name)) for one in known}
