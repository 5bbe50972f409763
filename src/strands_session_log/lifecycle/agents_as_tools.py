"""What guardrails redact in agents that are tools of others.

While such an agent waits for a person, its conversation stands in the state of the one that called it. Nobody else need
listen to it, so whoever keeps that state does, for as long as the call lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from ..codec import to_json
from ..event_log.whereabouts import Sought
from ..ids import EventId
from ..state import Copies
from .guardrail import Guardrail, watch
from .hooks import Writer, listen

Redacted: TypeAlias = "Callable[[Any], Writer]"
"""Told what a message says now that it was redacted, as JSON values; says what has to be written."""

_AT_ALL_TIMES = EventId(2**62, 0)


def sought_by_ids(redaction: Any, holders: Iterable[str]) -> Sought:
    """What to look for of a message of which only the redaction is known: its tracking id, and the ids of its calls.

    Args:
        redaction: What it says now.
        holders: The agents, graphs and swarms in whose state it may stand.
    """
    return Sought(Copies([], redaction), frozenset(), _AT_ALL_TIMES, frozenset(holders))


class AgentsAsTools:
    """The agents that are called as tools by one agent, and by these in turn."""

    def __init__(self, redacted: Redacted) -> None:
        self._redacted = redacted
        self._calls: dict[str, _Call] = {}

    def began(self, hook: Any) -> None:
        """A tool is about to be called."""
        called = getattr(getattr(hook, "selected_tool", None), "agent", None)
        if hasattr(called, "messages") and hasattr(getattr(called, "hooks", None), "add_callback"):
            self.ended(hook)
            call = self._calls[hook.tool_use["toolUseId"]] = _Call(_ear(called), AgentsAsTools(self._redacted))
            call.ear.calls.append((self._redacted, call.within))

    def ended(self, hook: Any) -> None:
        """A tool was called."""
        self._end(hook.tool_use["toolUseId"])

    def end(self) -> None:
        """The calls are over; of those that were interrupted Strands tells no end."""
        for id_ in list(self._calls):
            self._end(id_)

    def _end(self, tool_use_id: str) -> None:
        if call := self._calls.pop(tool_use_id, None):
            call.ear.calls = [one for one in call.ear.calls if one[1] is not call.within]
            call.within.end()


class _Call(NamedTuple):
    ear: _Ear
    within: AgentsAsTools


class _Ear:
    """Hears one agent that is a tool.

    Attributes:
        calls: Those that have called it: whom to tell of redactions, and the calls it makes in turn.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Redacted, AgentsAsTools]] = []
        self._guardrail = Guardrail()

    def register(self, agent: Any) -> None:
        registry = agent.hooks
        watch(registry, lambda hook: self._guardrail.asked(hook.agent), self._model_ended)
        listen(registry, "MessageAddedEvent", self._message_added)
        listen(registry, "AfterInvocationEvent", self._model_ended)
        listen(registry, "BeforeToolCallEvent", lambda hook: self._each(lambda within: within.began(hook)))
        listen(registry, "AfterToolCallEvent", lambda hook: self._each(lambda within: within.ended(hook)))

    def _message_added(self, hook: Any) -> None:
        self._guardrail.said(hook.message, hook.agent)

    def _model_ended(self, hook: Any) -> Writer:
        redactions = [to_json(said.live, "message") for said in self._guardrail.redacted(hook.agent)]
        told = [redacted(redaction) for redaction in redactions for redacted, _ in list(self.calls)]
        return partial(_write_all, [write for write in told if write]) if any(told) else None

    def _each(self, tell: Callable[[AgentsAsTools], None]) -> None:
        for _, within in list(self.calls):
            tell(within)


def _write_all(writers: Iterable[Callable[[], None]]) -> None:
    for write in writers:
        write()


_ears: WeakKeyDictionary[Any, _Ear] = WeakKeyDictionary()
"""By hook registry: agents may be equal to each other, or refuse to be hashed."""


def _ear(agent: Any) -> _Ear:
    if agent.hooks not in _ears:
        _ears[agent.hooks] = _Ear()
        _ears[agent.hooks].register(agent)
    return _ears[agent.hooks]
