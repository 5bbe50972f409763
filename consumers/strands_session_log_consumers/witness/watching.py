"""A round of a witness: seal what changed, have it stamped with the time, and check some of what was sealed before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from strands_session_log import SessionLog
from strands_session_log.errors import SealDamagedError, SealNotFoundError
from strands_session_log.seals import (
    Deletions,
    SealComparison,
    SealedLog,
    SealStore,
    SealSummary,
    SealWriter,
    SigningKey,
    VerifierKey,
    compare_records,
)

from .timestamps import TimeStampAuthority, TimeStampError

logger = logging.getLogger(__name__)

_MOST_TOLD = 100
"""Of how many sessions the log tells what is wrong, each time that all are checked."""
_CHECKPOINTS = 100
"""How many of the older checkpoints are looked at in a round."""


@dataclass(slots=True)
class Standing:
    """What is known after a round.

    Attributes:
        summary: What was sealed in it.
        checked: How many records were held against the sessions in it.
        passes: How often all records were.
        broken: Sessions whose history does not hold any more, and why.
        problems: What is wrong with the seals themselves.
        unstamped: Why the newest checkpoint has no time stamp, if it is to have one.
    """

    summary: SealSummary
    checked: int
    passes: int
    broken: dict[str, tuple[str, ...]]
    problems: tuple[str, ...]
    unstamped: str

    @property
    def ok(self) -> bool:
        """Whether all history holds, as far as it was checked."""
        return not self.broken and not self.problems


class Watch:
    """Seals and checks one log, round by round; what a round does is bounded.

    Args:
        log: The log.
        store: Where the seals are.
        key: Signs them.
        trusted: Keys that signed before.
        check: How many records are checked in a round; 0 for all.
        authority: Stamps checkpoints with the time, if there is one.
    """

    def __init__(
        self,
        log: SessionLog,
        store: SealStore,
        key: SigningKey,
        trusted: Iterable[VerifierKey] = (),
        check: int = 0,
        authority: TimeStampAuthority | None = None,
    ) -> None:
        self._log, self._store, self._check, self._authority = log, store, check, authority
        self._keys = (key.verifier, *trusted)
        self._sealer = SealWriter(log, store, key, self._keys)
        self._deletions, self._next, self._passes = Deletions(), 0, 0
        self._found, self._broken = dict[str, tuple[str, ...]](), dict[str, tuple[str, ...]]()
        self._sizes: Iterator[int] = iter(())
        self._problems, self._known = dict[str, None](), dict[str, None]()
        self._sweeps = True

    def round(self, is_over: Callable[[], bool] = lambda: False) -> Standing:
        """Seal, stamp and check.

        Args:
            is_over: Whether to stop checking, since the service is to end.

        Raises:
            SealDamagedError: When the seals are not what was sealed.
            SessionLogError: When something cannot be reached, or used.
        """
        # All sessions at the beginning, and whenever all records were checked; else those that were active since.
        summary, self._sweeps = self._sealer.seal(everything=self._sweeps), False
        if summary.checkpoint is None:
            return Standing(summary, 0, self._passes, {}, (), "")
        sealed = SealedLog(self._store, self._keys)
        unstamped = self._stamp(sealed)
        checked = self._check_some(sealed, is_over)
        problems = tuple({**self._known, **self._problems})
        return Standing(summary, checked, self._passes, {**self._broken, **self._found}, problems, unstamped)

    def _stamp(self, sealed: SealedLog) -> str:
        if self._authority is None:
            return ""
        size = len(sealed)
        try:
            if self._store.read(_stamp_name(size)) is None:
                self._store.create(_stamp_name(size), self._authority.stamp(sealed.checkpoint.note.encode()))
        except TimeStampError as error:
            logger.warning("size=<%d>, error=<%s> | the checkpoint was not stamped", size, error)
            return str(error)
        return ""

    def _check_some(self, sealed: SealedLog, is_over: Callable[[], bool]) -> int:
        """Go on where the round before has stopped; whoever was at the end begins anew."""
        self._deletions.read(sealed)
        self._check_checkpoints(sealed)
        limit, checked = self._check or len(sealed), 0
        records = sealed.records(self._next)
        while checked < limit and not is_over():
            page = list(islice(records, min(1_000, limit - checked)))
            if not page:
                self._complete()
                break
            for one in compare_records(self._log, page, self._deletions).values():
                self._note(one)
            checked, self._next = checked + len(page), page[-1].index + 1
        if self._next >= len(sealed) - 1:
            self._complete()
        return checked

    def _complete(self) -> None:
        """All records were checked: what was not found broken this time is not broken any more."""
        if self._next:
            self._broken, self._found, self._next = self._found, {}, 0
            self._passes, self._sweeps = self._passes + 1, True

    def _note(self, one: SealComparison) -> None:
        if not one.problems:
            return
        if one.session_id not in self._broken and one.session_id not in self._found:
            self._tell_broken(one)
        self._found[one.session_id] = one.problems

    def _tell_broken(self, one: SealComparison) -> None:
        """Where a server has lost everything, each session would be a line."""
        if len(self._found) < _MOST_TOLD:
            for problem in one.problems:
                logger.error("session=<%s>, problem=<%s> | history no longer holds", one.session_id, problem)
        elif len(self._found) == _MOST_TOLD:
            logger.error("sessions=<%d> | history of many more no longer holds, see the metric", _MOST_TOLD)

    def _check_checkpoints(self, sealed: SealedLog) -> None:
        some = list(islice(self._sizes, _CHECKPOINTS))
        for size in some:
            try:
                self._check_stamp(size, sealed.checkpoint_at(size).note.encode())
            except (SealDamagedError, SealNotFoundError, TimeStampError) as error:
                self._tell_problem(str(error))
        if len(some) < _CHECKPOINTS:
            # All were looked at: what was not found wrong this time is not wrong any more.
            self._sizes, self._known, self._problems = sealed.sizes(), self._problems, {}

    def _check_stamp(self, size: int, note: bytes) -> None:
        if self._authority is not None and (stamp := self._store.read(_stamp_name(size))) is not None:
            self._authority.check(stamp, note)

    def _tell_problem(self, problem: str) -> None:
        if problem not in self._known and problem not in self._problems:
            logger.error("problem=<%s> | the seals are not what was sealed", problem)
        self._problems[problem] = None


def _stamp_name(size: int) -> str:
    return f"timestamps/{size}.tsr"
