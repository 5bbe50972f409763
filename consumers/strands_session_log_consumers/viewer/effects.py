"""What may be done to a session from the viewer, told in full before it is done: fork, rewind, erase."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from strands_session_log import (
    AgentDiff,
    ErasurePlan,
    EventId,
    MessageRecord,
    Recorded,
    SessionDiff,
    SessionLog,
    SessionState,
)
from strands_session_log.errors import UnansweredToolCallsError

SHOWN: Final = 20
"""How many messages or events of a kind are listed; how many more there are is said."""
_LONGEST_ID: Final = 240
_MOST_EVENTS: Final = 1_000


class NotUnderstoodError(ValueError):
    """What was filled in is not what was asked for; says so in a sentence."""


@dataclass(frozen=True)
class Effect:
    """What doing something would do.

    Attributes:
        seal: Tells it from any other effect: what was confirmed is done only while that is what it would do.
        facts: What is said of it, for the templates.
        waiting: Set where it cannot be done there, as an agent waits for a tool.
    """

    seal: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    waiting: UnansweredToolCallsError | None = None


@dataclass(frozen=True)
class HeldMessages:
    """What becomes of what an agent holds.

    Attributes:
        agent: The agent.
        is_gone: Whether it was not there yet at that point.
        left: Messages that it holds no longer; the first of them.
        joined: Messages that it holds again; likewise.
        counts: How many there are of each.
        state: What differs in its state.
    """

    agent: str
    is_gone: bool
    left: Sequence[MessageRecord]
    joined: Sequence[MessageRecord]
    counts: tuple[int, int]
    state: Sequence[Any]


def fork_effect(log: SessionLog, session_id: str, revision: int, allowed: bool) -> Effect:
    """What a fork would copy.

    Args:
        log: The log.
        session_id: The session.
        revision: The last event to copy.
        allowed: Whether an agent may wait for a tool there.
    """
    state, link = log.state(session_id, revision), log.event(session_id, revision).link
    waiting = None if allowed else _waiting(lambda: log.rewind(session_id, revision, dry_run=True))
    messages = {name: len(agent.messages) for name, agent in state.agents.items()}
    facts = {"messages": messages, "into": f"{session_id[:_LONGEST_ID]}-r{revision}"}
    return Effect(_seal(link), facts, waiting)


def rewind_effect(log: SessionLog, session_id: str, revision: int, allowed: bool) -> Effect:
    """What agents would hold after a rewind.

    Args:
        log: The log.
        session_id: The session.
        revision: Where to.
        allowed: Whether an agent may wait for a tool there.
    """
    found: SessionDiff | None = None

    def look() -> None:
        nonlocal found
        found = log.rewind(session_id, revision, allow_unanswered=allowed, dry_run=True)

    waiting = _waiting(look)
    if found is None:
        return Effect("", {}, waiting)
    now, then = log.state(session_id, found.before), log.state(session_id, found.after)
    agents = [_held(name, agent, now, then) for name, agent in found.agents.items()]
    facts = {"before": found.before.revision, "agents": agents, "graphs": found.multi_agents, "same": found.is_empty}
    return Effect(_seal(now.link, then.link), facts)


def erase_effect(log: SessionLog, session_id: str, revisions: Sequence[int]) -> Effect:
    """What an erasure would take away.

    Args:
        log: The log.
        session_id: The session.
        revisions: The events.
    """
    plan = log.plan_erasure(session_id, revisions)
    own = plan.erased.get(session_id, ())
    named = [id_ for id_ in own if id_ in plan.named]
    beside = [id_ for id_ in own if id_ not in plan.named]
    facts = {
        "named": _events(log, session_id, named),
        "beside": _events(log, session_id, beside),
        "counts": (len(named), len(beside)),
        "before": [id_.revision for id_ in plan.named if id_ not in own],
        "forks": {name: len(ids) for name, ids in plan.erased.items() if name != session_id and ids},
        "moved": plan.moved,
        "kept": plan.kept,
        "going": sum(map(len, plan.erased.values())),
    }
    return Effect(_seal(*_texts(plan)), facts)


def revisions_of(text: str, head: int) -> list[int]:
    """Revisions as people write them: `3, 5-9`.

    Raises:
        NotUnderstoodError: When they are none, too many, or not of this session.
    """
    found = list[int]()
    for part in text.replace(",", " ").replace("\u2013", "-").split():
        first, dash, last = part.removeprefix("r").partition("-")
        last = last.removeprefix("r") if dash else first
        if not all(one.isascii() and one.isdigit() and len(one) < 15 for one in (first, last)):
            raise NotUnderstoodError(f"{part!r} is no event: give revisions, such as 3, 5-9")
        if not 1 <= int(first) <= int(last) <= head:
            raise NotUnderstoodError(f"{part!r} is not among its events: they are 1 to {head:,}")
        found += range(int(first), min(int(last), int(first) + _MOST_EVENTS) + 1)
    found = list(dict.fromkeys(found))
    if not 0 < len(found) <= _MOST_EVENTS:
        raise NotUnderstoodError(f"give 1 to {_MOST_EVENTS:,} events" if found else "give the events to erase")
    return found


def _waiting(call: Callable[[], object]) -> UnansweredToolCallsError | None:
    try:
        call()
    except UnansweredToolCallsError as error:
        return error
    return None


def _held(name: str, agent: AgentDiff, now: SessionState, then: SessionState) -> HeldMessages:
    left, joined = agent.window_left, agent.window_joined
    found = (_records(now, name, left), _records(then, name, joined))
    return HeldMessages(name, agent.presence == "removed", *found, (len(left), len(joined)), agent.state[:SHOWN])


def _records(state: SessionState, agent: str, indices: Sequence[int]) -> list[MessageRecord]:
    known = state.agents.get(agent)
    wanted = set(indices[:SHOWN])
    return [one for one in known.messages if one.message_id in wanted] if known and wanted else []


def _events(log: SessionLog, session_id: str, ids: Iterable[EventId]) -> list[Recorded]:
    return [log.event(session_id, id_) for id_ in list(ids)[:SHOWN]]


def _texts(plan: ErasurePlan) -> list[str]:
    return [f"{name} {' '.join(map(str, ids))}" for name, ids in (*plan.erased.items(), ("", plan.named))]


def _seal(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]
