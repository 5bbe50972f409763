"""The messages that an agent is restored with, and their records, which hardly anybody asks for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from strands.types.content import Message
from strands.types.session import SessionMessage

from ..codec import from_json
from ..state import Messages


class RestoredMessages:
    """The messages of a transcript from a position on, in containers of their own.

    Making Strands' records of them takes as long as reading them; only a redaction needs these.

    Args:
        messages: The transcript.
        offset: The position.

    Attributes:
        latest: The record of the last; None where there is none.
        have_tools: Whether one of them may call a tool, or answer for one.
    """

    def __init__(self, messages: Messages, offset: int) -> None:
        first, last, _ = slice(offset, None).indices(len(messages))
        self._columns = messages.columns(first, last, from_json)
        self.have_tools = self._columns.have_tools
        newest: list[list[Any]] = [[column[-1] for column in self._columns.each]] if first < last else []
        self.latest = SessionMessage(*newest[0]) if newest else None

    @property
    def shown(self) -> list[Message]:
        """The messages as an agent holds them, redactions applied."""
        said, redacted = self._columns.messages, self._columns.redactions
        return [one if other is None else other for one, other in zip(said, redacted, strict=True)]

    def has(self, message: Message) -> bool:
        """Whether this very object is one of them."""
        return id(message) in self._ids

    @cached_property
    def _ids(self) -> frozenset[int]:
        return frozenset(map(id, self._columns.messages))

    def records(self) -> Sequence[SessionMessage]:
        """The record of each; that of the last is the same as ever."""
        if self.latest is None:
            return []
        columns: list[Sequence[Any]] = [column[:-1] for column in self._columns.each]
        return [*map(SessionMessage, *columns), self.latest]
