"""The facts of an envelope, as far as they are what they should be: anyone may append anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

_LARGEST = 1e12
"""More than any count of tokens or duration in milliseconds: thirty years."""


class CountedEventId(Protocol):
    """Where an event stands in its session."""

    @property
    def ms(self) -> int:
        """Server clock in milliseconds since the epoch."""


class CountedEnvelope(Protocol):
    """The part of a feed envelope that is counted."""

    @property
    def id(self) -> CountedEventId:
        """The event."""

    @property
    def type(self) -> str:
        """Its type."""

    @property
    def agent(self) -> str:
        """The agent it is about."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What may be known without reading content."""


def facts_of(envelope: CountedEnvelope) -> Mapping[str, Any]:
    """Its facts; none if they cannot be read."""
    try:
        return mapping(envelope.facts)
    except ValueError:
        return {}


def mapping(value: object) -> Mapping[str, Any]:
    """A mapping; an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}


def number(value: object) -> float | None:
    """A number of at least 0 that something can be; None in place of anything else, which would spoil a sum."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= _LARGEST else None


def seconds(milliseconds: object) -> float | None:
    """Milliseconds as seconds; None if they are no duration."""
    found = number(milliseconds)
    return None if found is None else found / 1000
