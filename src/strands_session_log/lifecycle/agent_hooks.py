"""Strands' events of one agent, and what each means: for agents of a manager, of nodes, and of recorders alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from ..events import Event
from .compat import FIRST, LAST, Handler, Heard, Writer, listen
from .facts import Facts
from .redaction import AgentsAsTools, Guardrail, TrackedMessage

_MOMENTS: dict[str, tuple[str, float]] = {
    "invocation_started": ("BeforeInvocationEvent", 0),
    "invocation_ended": ("AfterInvocationEvent", 0),
    "message_added": ("MessageAddedEvent", 0),
    "message_updated": ("MessageUpdatedEvent", 0),
    "model_asked": ("BeforeModelCallEvent", 0),
    "model_ended": ("AfterModelCallEvent", 0),
    "tool_started": ("BeforeToolCallEvent", 0),
    "tool_ended": ("AfterToolCallEvent", 0),
    "tool_called": ("BeforeToolCallEvent", LAST),
    "tool_left": ("AfterToolCallEvent", FIRST),
    "settled": ("BidiAgentStopEvent", 0),
    # Last, so that a call which other hooks forbid takes no answer.
    "answers_taken": ("BeforeInvocationEvent", LAST),
    "guard": ("BeforeModelCallEvent", LAST),
    "unguard": ("AfterModelCallEvent", FIRST),
}
"""Methods of `AgentHooks`: the event they are called at, and their place among its hooks."""
FACTS = ("model_asked", "model_ended", "tool_started", "tool_ended")
"""Where only facts are told; a live agent of a manager hears from `model_ended`, too, what its model has answered."""
GUARDS = ("guard", "unguard")
"""Where nobody tells what a guardrail has redacted."""
RESUMES = ("message_updated", "settled", "answers_taken")
"""Where an agent resumes from what is written."""


def listen_to_agent(registry: Any, take: Callable[[str, Any], Writer], but: Collection[str] = ()) -> None:
    """Hear what happens to an agent.

    Args:
        registry: Its hooks.
        take: Given the name of a method of `AgentHooks`, and Strands' hook event.
        but: The methods it is not called for.
    """
    heard = [Heard(event, partial(take, name), order) for name, (event, order) in _MOMENTS.items() if name not in but]
    listen(registry, *heard)


class AgentHooks:
    """What is told of one agent as Strands' events come in; each of its methods says what has to be written.

    Args:
        name: What the agent is in its session.
        records_facts: Whether invocations are events too; model calls and tools are where their hooks are listened to.

    Attributes:
        note: Keeps facts until something is written.
    """

    note: Callable[[Sequence[Event]], None]

    def __init__(self, name: str, records_facts: bool = True) -> None:
        self.facts, self._records_facts = Facts(name), records_facts
        self.guardrail = Guardrail()
        self.tools = AgentsAsTools(self._redacted_within)

    def take(self, name: str, hook: Any) -> Writer:
        """One of Strands' hook events, by the name of the method here that takes it."""
        handle: Handler = getattr(self, name)
        return handle(hook)

    def tell(self, told: Sequence[Event]) -> Writer:
        """Put facts in line that others are to see at once."""
        raise NotImplementedError

    def redacted(self, said: TrackedMessage) -> None:
        """A guardrail has redacted a message."""

    def _redacted_within(self, redaction: Any) -> Writer:
        self.facts.has_redacted = True
        return self.redacted_within(redaction)

    def redacted_within(self, redaction: Any) -> Writer:
        """An agent that is a tool of this one has redacted what stands in its state."""
        raise NotImplementedError

    def invocation_started(self, hook: Any) -> Writer:
        """It was called; what was left of a call before, where another hook raised, is over."""
        if self.tools.calls:
            self.tools.end()
        if self._records_facts:
            self.note(self.facts.invocation_started(hook))
        return None

    def answers_taken(self, hook: Any) -> Writer:
        """It was called, and no hook forbids it."""
        return None

    def message_added(self, hook: Any) -> Writer:
        """It said something, or was told."""
        raise NotImplementedError

    def message_updated(self, hook: Any) -> Writer:
        """A message says something else."""
        return None

    def settled(self, hook: Any) -> Writer:
        """It holds what it is going to hold."""
        return None

    def model_asked(self, hook: Any) -> None:
        """A model call begins; only how it ends is worth an event."""
        self.note(self.facts.model_asked())

    def model_ended(self, hook: Any) -> None:
        """The model answered or raised."""
        self.note(self.facts.model_ended(hook))

    def guard(self, hook: Any) -> None:
        """A model is about to be asked: no other hook changes any more what it is asked."""
        self.guardrail.asked(hook.agent)

    def unguard(self, hook: Any) -> Writer:
        """The model call is over, and no other hook has changed anything yet."""
        for said in self.guardrail.redacted(hook.agent):
            self.facts.has_redacted = True
            self.redacted(said)
        return None

    def tool_started(self, hook: Any) -> Writer:
        """A tool is about to run."""
        return self.tell(self.facts.tool_started(hook))

    def tool_called(self, hook: Any) -> Writer:
        """It runs: no hook forbids it."""
        self.tools.began(hook)
        return None

    def tool_left(self, hook: Any) -> None:
        """It has run; no other hook knows it yet."""
        self.tools.ended(hook)

    def tool_ended(self, hook: Any) -> None:
        """A tool returned, raised, or was cancelled."""
        self.note(self.facts.tool_ended(hook))

    def invocation_ended(self, hook: Any) -> Writer:
        """The call is over."""
        raise NotImplementedError
