"""Whether a session is what was written: checked on while people look at it, and from all that stands on the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from threading import Lock
from typing import Any, Final

from anyio import CapacityLimiter, to_thread

from strands_session_log import Expect, SessionChecker, SessionLog, Verification
from strands_session_log.errors import LogForkedError

from ..recent import Recent
from .talk import STRETCH

_SECONDS: Final = 0.1
"""How long one request checks, so that others have their turn; a page asks again until all is checked."""
_REPORTS: Final = 32
_TOLD_PROBLEMS: Final = 100


@dataclass(frozen=True)
class CheckStatus:
    """How far the events of a session are checked.

    Attributes:
        revision: Up to which one.
        head: Of how many.
        done: Whether that is all there were at `time`.
        problems: What was found.
        broken_at: The revision that the first of them is about; 0 if it is about none.
        link: The chain at the event checked last.
        time: When that was.
        replaced: Whether the session was deleted or replaced while people looked at it.
    """

    revision: int
    head: int
    done: bool
    problems: Sequence[str]
    broken_at: int
    link: str
    time: datetime
    replaced: bool = False

    @property
    def percent(self) -> int:
        """How much of it is checked; a whole that is not done yet is none."""
        return 100 if self.done else min(99, 100 * self.revision // max(1, self.head))

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values, of problems the first hundred."""
        return {
            "revision": self.revision,
            "head": self.head,
            "percent": self.percent,
            "done": self.done,
            "intact": not self.problems if self.done or self.problems else None,
            "problems": list(self.problems[:_TOLD_PROBLEMS]),
            "problem_count": len(self.problems),
            "broken_at": self.broken_at or None,
            "link": self.link,
            "time": self.time.isoformat(),
            "replaced": self.replaced,
        }


class RunningCheck:
    """The check of one session, which goes on where it stood; one for all who look.

    Args:
        log: Where the session is.
        session_id: The session.
        forget: Called when it was deleted or replaced: what was read of it is of another one.
    """

    def __init__(self, log: SessionLog, session_id: str, forget: Callable[[], None]) -> None:
        self._log, self._session_id, self._forget, self._lock = log, session_id, forget, Lock()
        self._checker, self._links = log.checker(session_id), dict[int, str]()
        self._replaced, self._status = False, None

    _checker: SessionChecker
    _status: CheckStatus | None

    @property
    def status(self) -> CheckStatus | None:
        """What is known; None before anything was checked."""
        return self._status

    def advance(self, head: int, seconds: float = _SECONDS) -> CheckStatus:
        """Check for a while.

        Args:
            head: How many events there are.
            seconds: For how long, at most.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        with self._lock:
            until = time.monotonic() + seconds
            done = self._step()
            while not done and time.monotonic() < until:
                done = self._step()
            self._status = self._told(head, done)
            return self._status

    def _step(self) -> bool:
        checker = self._checker
        try:
            done = checker.advance(STRETCH - checker.revision % STRETCH)
        except LogForkedError:
            self._begin_anew()
            self._forget()
            self._replaced = True
            return False
        if not checker.revision % STRETCH:
            self._links[checker.revision] = checker.link
        return done

    def _begin_anew(self) -> None:
        self._checker = self._log.checker(self._session_id)
        self._links.clear()

    def _told(self, head: int, done: bool) -> CheckStatus:
        checker = self._checker
        broken_at = checker.broken_at.revision if checker.broken_at else 0
        now, head = datetime.now(timezone.utc), max(head, checker.revision)
        found = (checker.revision, head, done, checker.problems, broken_at, checker.link, now)
        return CheckStatus(*found, replaced=self._replaced)

    def contradiction(self, revision: int, link: str) -> str:
        """Why what is shown is not what was checked before, if it is not; then all of it is checked once more.

        Args:
            revision: The last event that is shown.
            link: Its link.
        """
        with self._lock:
            known = self._checker.link if revision == self._checker.revision else self._links.get(revision)
            if known is None or known == link:
                return ""
            self._begin_anew()
            self._status, self._replaced = None, True
        return f"event {revision} has another link than when it was checked: {link}, not {known}"


@dataclass
class Report:
    """One verification of a session, from all that stands on the server.

    Attributes:
        session_id: The session.
        expect: Links that it is held against.
        checked: How many events are checked.
        total: Of how many.
        found: What was found, once it is there.
        error: What went wrong instead.
        time: When it began.
    """

    session_id: str
    expect: tuple[Expect, ...]
    checked: int = 0
    total: int = 0
    found: Verification | None = None
    error: Exception | None = None
    time: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def percent(self) -> int:
        """How much of it is done."""
        return min(99, 100 * self.checked // self.total) if self.total else 0

    @property
    def is_running(self) -> bool:
        """Whether there is nothing to tell yet."""
        return self.found is None and self.error is None

    def advance(self, checked: int, total: int) -> None:
        """So far has it come; another thread than the one who asks says so."""
        self.checked, self.total = checked, total


class Reports:
    """Verifies sessions, one at a time, however many ask.

    Args:
        log: Where they are.
    """

    def __init__(self, log: SessionLog) -> None:
        self._log, self._kept = log, Recent[tuple[str, tuple[Expect, ...]], Report](_REPORTS)
        self._tasks = set[asyncio.Task[None]]()
        self._limiter: CapacityLimiter | None = None

    def report(self, session_id: str, expect: Sequence[Expect], head: int, *, again: bool = False) -> Report:
        """The newest report on a session, begun if there is none of all its events.

        Args:
            session_id: The session.
            expect: Links that it is held against.
            head: How many events it has.
            again: Begin anew, whatever there is.
        """
        key = (session_id, tuple(expect))
        known = self._kept.get(key)
        if known is not None and (known.is_running or not (again or _is_old(known, head))):
            return known
        made = self._kept.put(key, Report(*key))
        task = asyncio.get_running_loop().create_task(self._run(made))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return made

    async def _run(self, report: Report) -> None:
        self._limiter = self._limiter or CapacityLimiter(1)
        try:
            report.found = await to_thread.run_sync(lambda: self._verified(report), limiter=self._limiter)
        except Exception as error:
            report.error = error

    def _verified(self, report: Report) -> Verification:
        return self._log.verify(report.session_id, report.advance, expect=report.expect)


def _is_old(report: Report, head: int) -> bool:
    return report.error is not None or (report.found is not None and report.found.revision < head)
