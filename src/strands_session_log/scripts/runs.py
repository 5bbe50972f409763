"""The script of the lease of a run, as a function; and who holds one."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from ..server import Store, text
from . import RUN

RunAction: TypeAlias = Literal["acquire", "renew", "release", "stop"]


class RunReply(NamedTuple):
    """What became of it.

    Attributes:
        outcome: `done`; `held`, by another; `lost`; or `none`, of a run that is to stop.
        run_id: The run that holds the lease; empty if none does.
        is_stopping: Whether that is to stop.
    """

    outcome: str
    run_id: str
    is_stopping: bool


def change_run(
    store: Store, session_id: str, action: RunAction, run_id: str, token: str = "", held_ms: int = 0
) -> RunReply:
    """Acquire, renew or release the lease of a run, or tell it to stop.

    Args:
        store: Where.
        session_id: The session.
        action: Which of these.
        run_id: The run; to stop, empty for any.
        token: Of who holds the lease.
        held_ms: For how many milliseconds it is held.
    """
    key = store.keyspace.session(session_id).run
    outcome, held, stop = map(text, store.run(RUN, [key], [action, run_id, token, held_ms]))
    return RunReply(outcome, held, bool(stop))


def run_held(store: Store, session_id: str) -> RunReply:
    """Which run holds the lease."""
    run_id, stop = store.fields(store.keyspace.session(session_id).run, "run", "stop")
    return RunReply("", "" if run_id is None else text(run_id), stop is not None)
