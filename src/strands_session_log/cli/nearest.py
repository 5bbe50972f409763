"""Names that there are none of: where was looked, and what is nearest to what was typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from ..errors import (
    GroupNotFoundError,
    ParkedNotFoundError,
    RevisionNotFoundError,
    SessionLogError,
    SessionNotBegunError,
    SessionNotFoundError,
)
from .terminal import local

if TYPE_CHECKING:
    from .. import SessionLog

_NEWEST, _LOOKED_AT = 1_000, 4_000
"""Of so many sessions the ids are compared: the last active ones, and others as they stand in the directory."""
_MOST, _MOST_NAMED = 3, 10


def explained(error: SessionLogError, log: SessionLog, where: str) -> str:
    """What an error says, where that was, and what may have been meant; empty where it says enough by itself.

    Args:
        error: It names something that was not found.
        log: Where it was not found.
        where: The same for people.
    """
    try:
        match error:
            case SessionNotBegunError():
                return ""
            case SessionNotFoundError():
                return f"{error} in {where}{_session(log, error.session_id)}"
            case GroupNotFoundError():
                return f"there is no group {error.group!r} in {where}{_group(error)}"
            case ParkedNotFoundError():
                parked = (one.parked_id for one in islice(log.parked(error.group), _LOOKED_AT))
                return f"{error}{did_you_mean(error.parked_id, parked)}"
            case RevisionNotFoundError():
                return f"{error}: {_revision(log, error)}"
    except SessionLogError:
        # Whoever was told that there is none need not be told that the server has gone meanwhile.
        return ""
    return ""


def did_you_mean(typed: str, names: Iterable[str]) -> str:
    """`; did you mean 's-42' or 's-43'?`; nothing where no name is near."""
    # Here, because hardly any command needs it.
    from difflib import get_close_matches

    known = {name.lower(): name for name in names}
    begin = [name for lower, name in known.items() if lower.startswith(typed.lower())]
    near = [known[lower] for lower in get_close_matches(typed.lower(), known, _MOST)]
    found = [*dict.fromkeys([*begin, *near])][:_MOST]
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""


def agent_named(log: SessionLog, session_id: str, agent: str) -> str:
    """What is to be said of an agent, graph or swarm that a session does not have; nothing where it has it."""
    try:
        state = log.state(session_id)
    except SessionLogError:
        return ""
    return no_agent(session_id, agent, [*state.agents, *state.multi_agents])


def no_agent(session_id: str, agent: str, known: list[str]) -> str:
    """The same, of a session whose agents are known."""
    if agent in known:
        return ""
    meant = did_you_mean(agent, known) if len(known) > _MOST else ""
    return f"session {session_id!r} has no agent {agent!r}{meant or f'; it has: {_some(known)}'}"


def no_type(types: Iterable[str]) -> str:
    """What is to be said of types of events that there are none of; nothing where there is an event of each."""
    # Here, because hardly any command needs it.
    from .. import events

    known = {str(getattr(kind, "TYPE", "")) for kind in vars(events).values()} - {""}
    known |= {f"{type_.partition('.')[0]}.*" for type_ in known}
    wrong = [one for one in types if one not in known and not one.startswith("custom.")]
    return "; ".join(f"there are no events of type {one!r}{did_you_mean(one, sorted(known))}" for one in wrong)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return (", ".join(names[:_MOST_NAMED]) or "none") + more


def _session(log: SessionLog, session_id: str) -> str:
    for life in reversed(list(log.tombstones(session_id))):
        by = f" by {life.by}" if life.by else ""
        return f"; it was deleted at {local(life.deleted_at)}{by}"
    newest = [info.session_id for info in log.sessions(_NEWEST)]
    if not newest:
        return "; it has no session at all: look at --url and --namespace"
    ids = [*newest, *islice(log.session_ids(), _LOOKED_AT)] if len(newest) == _NEWEST else newest
    return did_you_mean(session_id, ids) or "; `session-log sessions` lists those there are"


def _group(error: GroupNotFoundError) -> str:
    if not error.known:
        return ": there is none yet, a `Subscriber` makes one"
    return did_you_mean(error.group, error.known) or f"; there are: {_some(error.known)}"


def _revision(log: SessionLog, error: RevisionNotFoundError) -> str:
    last = log.head(error.session_id).revision
    if error.event_id is None or error.revision > last:
        return f"its last is {last}"
    return f"its event {error.revision} is {log.resolve(error.session_id, error.revision)}"
