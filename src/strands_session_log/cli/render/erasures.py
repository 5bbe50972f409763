"""What an erasure takes away, what it leaves, and that it was done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from ... import ErasurePlan, EventId, SessionLog
from ..terminal import count, heading, one_line, plain, put
from ..typed import typed
from .events import print_events

_SHOWN = 20


def plan_json(session_id: str, plan: ErasurePlan, recorded: EventId | None, dry_run: bool) -> dict[str, Any]:
    """What goes and what stays; `id` is the event that records it."""
    return {
        "session_id": session_id,
        "id": None if recorded is None else str(recorded),
        "named": _texts(plan.named),
        "erased": {name: _texts(ids) for name, ids in plan.erased.items()},
        "moved": list(plan.moved),
        "kept": {name: _texts(ids) for name, ids in plan.kept.items()},
        "held": {name: _texts(ids) for name, ids in plan.held.items()},
        "dry_run": dry_run,
    }


def print_plan(terminal: Console, log: SessionLog, session_id: str, plan: ErasurePlan, same_target: str) -> None:
    """Print the events whose content goes, and say what else there is to know before."""
    erased = plan.erased.get(session_id, ())
    named = [id_ for id_ in erased if id_ in plan.named]
    beside = [id_ for id_ in erased if id_ not in plan.named]
    told = f"the content of {count(len(named), 'event')} goes" if named else "nothing is left to erase in these events"
    heading(terminal, session_id, Text(told, "dim"))
    _print_events(terminal, log, session_id, named)
    if before := [id_ for id_ in plan.named if id_ not in named]:
        put(terminal, f"That of {_revisions(before)} was erased before.", "dim")
    if beside:
        put(terminal, f"\nThe same stands in {count(len(beside), 'event')} more, of which it goes as well", "bold")
        _print_events(terminal, log, session_id, beside)
    put(terminal)
    for line in _further(session_id, plan, same_target):
        put(terminal, line)


def print_erased(terminal: Console, session_id: str, plan: ErasurePlan, recorded: EventId, same_target: str) -> None:
    """Print that it was done."""
    erased = plan.erased.get(session_id, ())
    forks = len(plan.erased) - 1
    more = f", and in {count(forks, 'fork')}" if forks > 0 else ""
    told = f"content of {_revisions(erased)} erased{more}, recorded by event {recorded.revision}"
    heading(terminal, session_id, told, "✓")
    check = typed("verify", session_id, options=same_target)
    put(terminal, f"Ids stay, and the chain still verifies: {check}", "dim")


def _print_events(terminal: Console, log: SessionLog, session_id: str, ids: Sequence[EventId]) -> None:
    print_events(terminal, (log.event(session_id, id_) for id_ in ids[:_SHOWN]))
    if len(ids) > _SHOWN:
        put(terminal, f"… and {len(ids) - _SHOWN:,} more", "dim")


def _further(session_id: str, plan: ErasurePlan, same_target: str) -> Iterable[Text]:
    """In which order it matters: what stays, though it may be thought to go, comes last."""
    for name, ids in plan.erased.items():
        if name != session_id and ids:
            yield Text(f"Also in its fork {plain(name)}: {_revisions(ids)}.")
    if plan.moved:
        names = ", ".join(map(one_line, plan.moved))
        yield Text(f"What {names} resumes with is written anew without it; agents that are live must be resumed.")
    for name, ids in plan.held.items():
        yield Text(f"{plain(name)} is held: {_revisions(ids)} of it stay, see `session-log holds`", "yellow")
    for name, ids in plan.kept.items():
        cure = typed("erase", name, *(str(id_.revision) for id_ in ids), options=same_target)
        yield Text(f"It stays in {plain(name)}, of which this is a fork: {cure}", "yellow")


def _revisions(ids: Sequence[EventId]) -> str:
    shown = [str(id_.revision) for id_ in ids[:_SHOWN]]
    return ", ".join(shown if len(ids) <= _SHOWN else [*shown, f"and {len(ids) - _SHOWN:,} more"])


def _texts(ids: Iterable[EventId]) -> list[str]:
    return [str(id_) for id_ in ids]
