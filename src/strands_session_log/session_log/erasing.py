"""Erasing what users name: what else goes with it, and what is written in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from ..errors import SessionNotFoundError
from ..event_log import EventLog, Progress
from ..event_log.erasure_scope import named_in
from ..ids import EventId, Point
from ..replay import Replay, moved_by, write_successors
from .points import event_id_at


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """What erasing events would do.

    Attributes:
        named: The events that were named.
        erased: By session, the events whose content would go: first those of the session, with copies elsewhere in it;
            then those of its forks. What was erased before is not among them.
        moved: The agents, graphs and swarms that hold it. What they resume with is written anew, so who has them live
            must resume them.
        kept: By session that this one was forked from, the events in which the same would still stand.
        held: By session that is held, this one or a fork, the events that would go if it were not.
    """

    named: tuple[EventId, ...]
    erased: Mapping[str, tuple[EventId, ...]]
    moved: tuple[str, ...]
    kept: Mapping[str, tuple[EventId, ...]]
    held: Mapping[str, tuple[EventId, ...]] = field(default_factory=dict)


def erase(
    log: EventLog,
    replay: Replay,
    session_id: str,
    event: Point | Iterable[Point],
    reason: str,
    progress: Progress,
    by: str,
    leave_held: bool = False,
    with_successors: bool = True,
) -> EventId | None:
    """See `SessionLog.erase`; without successors, what agents resume with is not written anew."""
    if not (ids := _ids(log, session_id, event)):
        return None
    sought, together = named_in(log, session_id, ids)
    find = partial(sought.find, log)
    # Before what agents resume with is written anew.
    log.check_erasable(session_id, ids | together, find, leave_held)
    if with_successors:
        write_successors(log, replay, session_id, sought)
    return log.erase(session_id, ids | together, reason, progress, by, find, leave_held)


def plan_erasure(log: EventLog, replay: Replay, session_id: str, event: Point | Iterable[Point]) -> ErasurePlan:
    """See `SessionLog.plan_erasure`."""
    if not (ids := _ids(log, session_id, event)):
        return ErasurePlan((), {}, (), {}, {})
    sought, together = named_in(log, session_id, ids)
    planned = log.plan_erasure(session_id, ids | together, partial(sought.find, log))
    moved = () if session_id in planned.held else moved_by(log, replay, session_id, sought)
    return ErasurePlan(tuple(sorted(ids)), planned.erased, moved, planned.kept, planned.held)


def _ids(log: EventLog, session_id: str, event: Point | Iterable[Point]) -> set[EventId]:
    points = [event] if isinstance(event, (EventId, int, str, datetime)) else event
    if log.head(session_id) is None:
        raise SessionNotFoundError(session_id)
    return {event_id_at(log, session_id, point) for point in points}
