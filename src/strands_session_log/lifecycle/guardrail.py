"""Noticing that a guardrail has redacted a message, where Strands tells nobody.

Strands replaces the content of the user's message in place while the model streams, and tells only the agent's session
manager. Whoever listens beside one compares the message before and after each model call. What hooks change at other
times is an edit, not a redaction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from strands.types.session import SessionMessage

from .. import events
from ..errors import EncodingError
from .hooks import Handler, Ordered, listen
from .records import redacted
from .window import fingerprint

Noted: TypeAlias = "tuple[Any, bytes] | None"


@dataclass
class TrackedMessage:
    """A message of a live agent, and where it stands in the transcript.

    Attributes:
        live: The message the agent holds; guardrails change it in place.
        index: Its index; None until it has one.
        created_at: When it was recorded first.
        asked: The fingerprint of what it said when a model was asked about it; None before that.
        redaction: What it says now that it was redacted.
        withheld: What its agent held of a deleted session when it got its index: it is another one's after the next.
    """

    live: Any
    index: int | None = None
    created_at: str = ""
    asked: bytes | None = None
    redaction: Any = None
    withheld: object = None

    def replaced(self) -> SessionMessage:
        """Its record, with nothing of what was redacted."""
        message = self.live if self.redaction is None else self.redaction
        record = SessionMessage(message, self.index or 0)
        record.created_at = self.created_at or record.created_at
        return record

    def redacted(self, agent_id: str, trace: str) -> events.MessageRedacted:
        """The event that replaces it."""
        record = self.replaced()
        record.redact_message = record.message
        return events.MessageRedacted(redacted(record), agent_id, trace=trace)


class Guardrail:
    """Follows the messages of one agent through its model calls."""

    def __init__(self) -> None:
        self._said: list[TrackedMessage] = []
        self._asked: Noted = None
        self._in_call = False

    def said(self, message: Any, agent: Any) -> TrackedMessage:
        """Note a message that was added, also in the midst of a model call; those the agent dropped are forgotten."""
        held = {id(one) for one in agent.messages}
        self._said = [said for said in self._said if id(said.live) in held and not _says_else(said, message)]
        self._said.append(TrackedMessage(message))
        if self._in_call:
            self.asked(agent)
        return self._said[-1]

    def renumber(self, moved: Callable[[int], int]) -> None:
        """Messages got another index, because somebody else's had theirs."""
        for said in self._said:
            said.index = None if said.index is None else moved(said.index)

    def asked(self, agent: Any) -> None:
        """A model call begins."""
        self._in_call, self._asked = True, _noted(agent.messages)
        if self._asked:
            for said in self._said:
                said.asked = self._asked[1] if said.live is self._asked[0] else said.asked

    def redacted(self, agent: Any) -> list[TrackedMessage]:
        """A model call has ended.

        Returns:
            Where the message that was redacted meanwhile stands; more than one if it was said more than once.
        """
        asked, self._asked, self._in_call = self._asked, None, False
        if asked is None or _noted([asked[0]]) == asked:
            return []
        return [said for said in self._said if said.live is asked[0]] or [TrackedMessage(asked[0])]


def watch(registry: Any, asked: Handler, ended: Handler) -> None:
    """Listen to the beginning and the end of model calls: after all other hooks, and before all others."""
    listen(Ordered(registry, math.inf), "BeforeModelCallEvent", asked)
    listen(Ordered(registry, -math.inf), "AfterModelCallEvent", ended)


def _says_else(said: TrackedMessage, message: Any) -> bool:
    """Whether a message is the same dict that was said before, and says something else by now."""
    return said.live is message and said.asked is not None and said.asked != fingerprint(message)


def _noted(messages: Any) -> Noted:
    """The user's message that came last; what cannot be stored was not, and need not be redacted."""
    if not messages or messages[-1].get("role") != "user":
        return None
    try:
        return messages[-1], fingerprint(messages[-1])
    except EncodingError:
        return None
