"""One agent's stream of callback events, as pieces of messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ..codec.delta import DISCARDED, END, INPUT, REASONING, TEXT, TOOL, Line
from ..events.event import new_event_id

Publish: TypeAlias = "Callable[[Line], object]"


class DeltaParser:
    """Hears what a model says, chunk by chunk, in the shape of Strands' `StreamEvent` (strands/types/streaming.py).

    Args:
        agent_id: Whose model.
        publish: Takes a piece, and numbers it; must not wait.
        forget: Takes back all pieces there are, of whichever message.
    """

    def __init__(self, agent_id: str, publish: Publish, forget: Callable[[], object]) -> None:
        self._agent_id, self._publish, self._forget = agent_id, publish, forget
        self._message = ""
        self._has_spoken, self._block, self._tool = False, 0, ""

    def hear(self, chunk: Any) -> None:
        """Take the next chunk; what is neither text nor a tool call is passed over."""
        match chunk:
            case {"messageStart": _}:
                self._begin()
            case {"contentBlockStart": {"start": {"toolUse": {"toolUseId": tool, "name": name}}}}:
                self._tool = str(tool)
                self._say(TOOL, str(name))
            case {"contentBlockDelta": {"delta": Mapping() as delta}}:
                self._hear_delta(delta)
            case {"contentBlockStop": _}:
                self._block, self._tool = self._block + 1, ""
            case {"messageStop": _}:
                self._say(END)
            case {"redactContent": _}:
                self._redact()

    def discard(self) -> None:
        """What was said will not be a message, unless that is settled already."""
        if self._has_spoken:
            self._say(DISCARDED)
        self.settle()

    def settle(self) -> None:
        """What was said is a message of the agent; what is said from now on is another one."""
        self._message, self._has_spoken = "", False

    def _begin(self) -> None:
        self.discard()
        self._message, self._has_spoken, self._block, self._tool = new_event_id(), False, 0, ""

    def _hear_delta(self, delta: Mapping[str, Any]) -> None:
        match delta:
            case {"text": str(text)}:
                self._say(TEXT, text)
            case {"toolUse": {"input": str(text)}}:
                self._say(INPUT, text)
            case {"reasoningContent": {"text": str(text)}}:
                self._say(REASONING, text)

    def _redact(self) -> None:
        """A guardrail objects: nobody is to read on, or again; what is said after that is another message."""
        self._forget()
        block = self._block
        self._begin()
        self._block = block

    def _say(self, kind: str, text: str = "") -> None:
        # A provider that does not say when a message begins.
        if not self._message:
            self._begin()
        self._has_spoken = True
        tool = self._tool if kind in (TOOL, INPUT) else ""
        self._publish(Line(kind, self._agent_id, self._message, 0, self._block, tool, text))
