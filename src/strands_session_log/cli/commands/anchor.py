"""`session-log anchor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from ... import Anchor, SessionLog
from ...errors import SessionNotFoundError
from ..completion import session_ids
from ..context import CommandCall
from ..options import argument, command
from ..output import write_bytes
from ..terminal import write_json

EPILOG = (
    "Examples:\n\nsession-log anchor > anchors.txt\n\nsession-log verify --all --expect-file anchors.txt\n\n"
    "session-log verify s-42 --expect \"$(session-log anchor s-42 | cut -d' ' -f1)\""
)

SessionsArgument = Annotated[list[str] | None, argument("[SESSION]...", "Sessions; else all.", session_ids)]


@command
def anchor(call: CommandCall, sessions: SessionsArgument = None) -> None:
    """Print where sessions stand: revision, link and id, a line each, for `verify --expect-file`.

    Keep the lines where no writer to the server can change them: then they prove that nothing before them changed.
    """
    with call.opened() as log:
        for name in sessions or log.session_ids():
            found = _anchor(log, name, is_named=bool(sessions))
            if found is not None:
                write_json(asdict(found)) if call.as_json else _write(found)


def _anchor(log: SessionLog, session_id: str, is_named: bool) -> Anchor | None:
    try:
        return log.anchor(session_id)
    except SessionNotFoundError:
        # Among all sessions, one may be deleted before its turn comes.
        if is_named:
            raise
        return None


def _write(found: Anchor) -> None:
    """In UTF-8 whatever the locale: it is read again."""
    write_bytes(f"{found}\n".encode())
