"""Whether the server of the log answers: what people look at is old where it does not, and is to say so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Final

from anyio import CapacityLimiter, to_thread

from strands_session_log import SessionLog
from strands_session_log.errors import ServerUnavailableError, SessionLogError

_EVERY: Final = 1.0
_PATIENCE: Final = 1.5
"""Seconds after which a server that does not answer counts as away."""
NO_SESSION: Final = "-"


class Pulse:
    """Asks the server for next to nothing, once a second, as long as somebody watches.

    Args:
        log: The log.
        session: Which session to ask for next: the pulse that counts is that of the node which has it.
        tell: Called when the answer is another one.
        note: Called with how many events that session has.

    Attributes:
        away_since: Since when it does not answer; None while it does.
        answered_at: When it did last.
        refusal: What it says instead, if it refuses.
    """

    def __init__(
        self,
        log: SessionLog,
        session: Callable[[], str],
        tell: Callable[[], None],
        note: Callable[[str, int], None],
    ) -> None:
        self._log, self._session, self._tell, self._note_head = log, session, tell, note
        self.away_since: datetime | None = None
        self.answered_at = datetime.now(timezone.utc)
        self.refusal = ""
        # Its own thread: those that read are all waiting when it matters.
        self._limiter = CapacityLimiter(1)
        self._task = asyncio.create_task(self._feel())

    def close(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _feel(self) -> None:
        while True:
            asked, session_id = datetime.now(timezone.utc), self._session()
            ask = to_thread.run_sync(self._ask, session_id, limiter=self._limiter)
            answer = asyncio.ensure_future(ask)
            done, _ = await asyncio.wait([answer], timeout=_PATIENCE)
            if not done:
                self._note(asked, "")
            found = await answer
            self._note(None if isinstance(found, int) else asked, "" if isinstance(found, int) else found)
            if isinstance(found, int):
                self._note_head(session_id, found)
            await asyncio.sleep(_EVERY)

    def _note(self, asked: datetime | None, refusal: str) -> None:
        before = self.away_since, self.refusal
        if asked is None:
            self.answered_at, self.away_since, self.refusal = datetime.now(timezone.utc), None, ""
        else:
            self.away_since, self.refusal = self.away_since or asked, refusal
        if before != (self.away_since, self.refusal):
            self._tell()

    def _ask(self, session_id: str) -> int | str:
        """How many events a session has; where the server does not answer, what it says, if it says something."""
        try:
            return self._log.head(session_id).revision
        except ServerUnavailableError:
            return ""
        except SessionLogError as error:
            return 0 if isinstance(error, LookupError) else str(error)
