"""How long sessions stay: what `SessionLog.retention` does. See docs/retention.md."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..errors import InvalidSettingError, SessionHeldError, SessionNotFoundError, SessionNotHeldError, check_whole
from ..event_log import EventLog
from ..event_log.listing import Wanted
from ..event_log.retaining import ttl_in_ms
from ..events import SessionInfo
from ..ids import EventId, Point, milliseconds
from ..instrumentation import SessionsSwept
from ..instrumentation.hooks import hooks
from .durations import duration_of, shown_duration
from .points import event_at, event_id_at
from .policies import RetentionPolicies, RetentionPolicy

RetentionOutcome: TypeAlias = Literal["deleted", "due", "held", "moved"]
"""`due`: a dry run would have deleted it otherwise. `held`: it stays. `moved`: something happened to it meanwhile."""

_PAGE = 1000
_BY = "session-log retention"


@dataclass(frozen=True, slots=True)
class LegalHold:
    """One hold on a session.

    Attributes:
        session_id: The session.
        id: The event that holds it; None where the session's head is lost, and no more is known.
        since: Since when, server time, UTC.
        by: Who holds it; empty where that cannot be read.
        reason: Why; likewise.
    """

    session_id: str
    id: EventId | None
    since: datetime
    by: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        return {**asdict(self), "id": self.id and str(self.id), "since": self.since.isoformat()}


@dataclass(frozen=True, slots=True)
class RetentionStep:
    """What became of one session whose time was over.

    Attributes:
        session_id: The session.
        last_event_at: Server time of its newest event, UTC; None where it is not known any more.
        why: Which rule it was, as the tombstone has it.
        outcome: What became of it.
    """

    session_id: str
    last_event_at: datetime | None
    why: str
    outcome: RetentionOutcome

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        last = self.last_event_at
        return {**asdict(self), "last_event_at": last and last.astimezone(timezone.utc).isoformat()}


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """How many sessions a run has looked at, and what became of those whose time was over.

    Attributes:
        looked_at: How many sessions.
        deleted: How many it has deleted.
        due: How many it would have, had it not been a dry run.
        held: How many stay because they are held.
        moved: How many stay because something happened to them meanwhile.
    """

    looked_at: int
    deleted: int
    due: int
    held: int
    moved: int

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        return asdict(self)


def _ignored(step: RetentionStep) -> None:
    """Nobody wants to hear of each."""


Told: TypeAlias = "Callable[[RetentionStep], object]"
"""Told of each session whose time is over, as soon as it is known what becomes of it."""


class Retention:
    """Times to live, rules by age and label, and holds of the sessions of one log.

    Whatever deletes here leaves a tombstone that says why. A session is deleted only if nothing has happened to it
    since it was looked at, and never by a clock that has gone astray: the server's and this machine's must agree.
    """

    def __init__(self, log: EventLog) -> None:
        """See `SessionLog.retention`."""
        self._log, self._retainer = log, log.retainer

    def hold(self, session_id: str, *, reason: str, by: str) -> EventId:
        """Hold a session: until it is released, nothing of it is erased, and it is not deleted, whoever asks.

        Agents go on with it as ever. A session may be held more than once; each hold ends for itself. Forks of it are
        sessions of their own, and not held by it.

        Args:
            session_id: The session.
            reason: Why; kept in the event that holds it.
            by: Who does; likewise.

        Returns:
            The event that holds it, which names the hold.

        Raises:
            SessionNotFoundError: When there is no such session.
            InvalidSettingError: When nobody says why, or who.
        """
        _check_said(reason=reason, by=by)
        return self._retainer.hold(session_id, reason, by)

    def release(self, session_id: str, *, reason: str, by: str, holds: Iterable[Point] | None = None) -> EventId:
        """End holds of a session.

        Args:
            session_id: The session.
            reason: Why; kept in the event that tells of it.
            by: Who does; likewise.
            holds: Which, by revision or id; all that there are, if left out.

        Returns:
            The event that tells of it.

        Raises:
            SessionNotFoundError: When there is no such session.
            SessionNotHeldError: When it is not held, or not by one of these.
            InvalidSettingError: When nobody says why, or who.
        """
        _check_said(reason=reason, by=by)
        if holds is None:
            ids = self._retainer.held(session_id) or ()
        else:
            ids = tuple(event_id_at(self._log, session_id, one) for one in holds)
        if not ids:
            if self._log.head(session_id) is None:
                raise SessionNotFoundError(session_id)
            raise SessionNotHeldError(session_id, (), ())
        return self._retainer.release(session_id, ids, reason, by)

    def holds(self, session_id: str | None = None) -> Iterator[LegalHold]:
        """The holds there are, each with who and why.

        Args:
            session_id: Of this session only.
        """
        if session_id is not None:
            held = self._retainer.held(session_id)
            yield from () if held is None else self._holds(session_id, held, None)
            return
        for name, since in self._retainer.holds():
            yield from self._holds(name, self._retainer.held(name) or (), since)

    def _holds(self, session_id: str, ids: Iterable[EventId], since: int | None) -> Iterator[LegalHold]:
        found = list(ids)
        for id_ in found:
            try:
                said = event_at(self._log, session_id, id_).event.data
            except LookupError:
                # Released and deleted meanwhile, or lost.
                said = {}
            by, reason = (str(said.get(name, "")) for name in ("by", "reason"))
            yield LegalHold(session_id, id_, id_.time, by, reason)
        if not found:
            yield LegalHold(session_id, None, EventId(since or 0, 0).time, "", "")

    def set_ttl(self, session_id: str, ttl: timedelta | str | None) -> datetime | None:
        """Say after how long without an event a session may be deleted, by the next `sweep`.

        It is rolling: with each event the time begins anew. It counts before any policy, and costs appends nothing. A
        fork has that of the session it was made of.

        Args:
            session_id: The session.
            ttl: How long, a second at least, also as text: `30d`; None for never.

        Returns:
            When it is due as things stand, server time, UTC; None if never, or not while it is held.

        Raises:
            SessionNotFoundError: When there is no such session.
            InvalidSettingError: When it cannot be so long.
        """
        due = self._retainer.set_ttl(session_id, None if ttl is None else duration_of("ttl", ttl))
        return due.time if due else None

    def want_ttl(self, session_id: str, ttl: timedelta | str) -> None:
        """Give a session a time to live after the next append to it by this log, and whenever it begins anew.

        Args:
            session_id: The session; it need not be there yet.
            ttl: As for `set_ttl`.

        Raises:
            InvalidSettingError: When it cannot be so long.
        """
        wanted = duration_of("ttl", ttl)
        ttl_in_ms(wanted)
        self._log.provisions.want(session_id, "ttl", partial(self._retainer.set_ttl, session_id, wanted))

    def ttl(self, session_id: str) -> timedelta | None:
        """The time to live of a session; None where it has none of its own.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        ttl, last = self._retainer.ttl(session_id)
        if last is None:
            raise SessionNotFoundError(session_id)
        return ttl

    def sweep(self, *, dry_run: bool = False, by: str = _BY, told: Told = _ignored) -> RetentionReport:
        """Delete the sessions whose own time to live is over.

        Args:
            dry_run: Delete nothing; tell what would be.
            by: Who does, for the tombstones.
            told: Told of each.
        """
        run, clock = _Run(self._log, by, dry_run, told), _clock(self._log)
        for session_id, _ in self._retainer.due(clock):
            ttl, last = self._retainer.ttl(session_id)
            run.looked_at += 1
            why = f"no event for {shown_duration(ttl)}, its time to live" if ttl else ""
            delete = partial(self._retainer.delete_due, session_id, clock, why, by)
            if ttl is not None and last is not None and milliseconds(last) + ttl_in_ms(ttl) <= clock:
                run.take(session_id, last, why, delete)
            elif not dry_run:
                # Something has happened to it since: it is looked at again when it is due next.
                delete()
        return run.report()

    def prune(
        self,
        *,
        older_than: timedelta | str | None = None,
        keep_last: int = 0,
        labels: Mapping[str, str] | None = None,
        per: str | None = None,
        reason: str = "",
        by: str = _BY,
        dry_run: bool = False,
        told: Told = _ignored,
    ) -> RetentionReport:
        """Delete sessions by age and number, whatever time to live they have.

        Args:
            older_than: Only those without an event for so long, also as text: `90d`.
            keep_last: Never the so many that were active last: of all, or of those with these labels.
            labels: Only those that are annotated with all of these; `*` for any value.
            per: Count `keep_last` for each value of this label on its own.
            reason: Why, for the tombstones, beside the rule.
            by: Who does, likewise.
            dry_run: Delete nothing; tell what would be.
            told: Told of each.

        Raises:
            InvalidSettingError: When neither an age nor a number is given, which would delete every session.
        """
        if older_than is None and not keep_last:
            raise InvalidSettingError("older_than", older_than, "give it, or keep_last, or both")
        check_whole("keep_last", keep_last, 0)
        age = timedelta(0) if older_than is None else duration_of("older_than", older_than)
        rule = RetentionPolicy("prune", labels or {}, age, keep_last, per)
        return self._carry_out([rule], reason, by, dry_run, told, but_with_ttl=False)

    def apply(
        self,
        policies: RetentionPolicies | str | Path,
        *,
        by: str = _BY,
        dry_run: bool = False,
        told: Told = _ignored,
    ) -> RetentionReport:
        """Delete what policies say is too old: a session falls under the first that fits, unless it has a time to live.

        Args:
            policies: They, or the TOML or JSON file that has them.
            by: Who does, for the tombstones.
            dry_run: Delete nothing; tell what would be.
            told: Told of each.

        Raises:
            InvalidPolicyError: When the file has a mistake; names file, line and field.
        """
        found = policies if isinstance(policies, RetentionPolicies) else RetentionPolicies.read(policies)
        return self._carry_out(found.policies, "", by, dry_run, told, but_with_ttl=True)

    def _carry_out(
        self,
        rules: Iterable[RetentionPolicy],
        reason: str,
        by: str,
        dry_run: bool,
        told: Told,
        but_with_ttl: bool,
    ) -> RetentionReport:
        run, clock, counted = _Run(self._log, by, dry_run, told), _clock(self._log), Counter[tuple[str, str]]()
        known = list(rules)
        for info in _sessions(self._log):
            run.looked_at += 1
            rule = next((one for one in known if one.fits(info)), None)
            if rule is None or (but_with_ttl and info.ttl is not None):
                continue
            counted[name := (rule.name, rule.group(info))] += 1
            if rule.keeps(counted[name], clock - milliseconds(info.last_event_at)):
                continue
            why = ": ".join(filter(None, (rule.why, reason)))
            run.take_listed(info, why, self._retainer.delete_unmoved)
        return run.report()


class _Run:
    """One run through sessions whose time is over."""

    def __init__(self, log: EventLog, by: str, dry_run: bool, told: Told) -> None:
        self._log, self._by, self._dry_run, self._told = log, by, dry_run, told
        self.looked_at, self._outcomes = 0, Counter[str]()

    def take_listed(self, info: SessionInfo, why: str, delete: Callable[[str, EventId, str, str], int | None]) -> None:
        """One that the directory lists."""
        at = EventId(milliseconds(info.last_event_at), info.revision)
        self.take(info.session_id, info.last_event_at, why, lambda: delete(info.session_id, at, why, self._by))

    def take(self, session_id: str, last: datetime | None, why: str, delete: Callable[[], int | None]) -> None:
        """One more: delete it, unless it is a dry run, or held, or something happened to it."""
        try:
            if self._dry_run:
                self._log.retainer.check_not_held(session_id)
                outcome: RetentionOutcome = "due"
            else:
                outcome = "moved" if delete() is None else "deleted"
        except SessionHeldError:
            outcome = "held"
        self._outcomes[outcome] += 1
        self._told(RetentionStep(session_id, last, why, outcome))

    def report(self) -> RetentionReport:
        """What has become of all."""
        outcomes = self._outcomes
        looked_at = max(self.looked_at, outcomes.total())
        found = RetentionReport(looked_at, *(outcomes[name] for name in ("deleted", "due", "held", "moved")))
        if not self._dry_run:
            hooks.tell(SessionsSwept(found.deleted, found.held))
        return found


def _sessions(log: EventLog) -> Iterator[SessionInfo]:
    """All that the directory lists, those first that were active last, page by page."""
    before: SessionInfo | None = None
    while page := log.listing.sessions(_PAGE, Wanted(), before=before):
        yield from page
        before = page[-1]


def _clock(log: EventLog) -> int:
    """The earlier one of the server's clock and this machine's, in milliseconds."""
    return min(log.clock(log.keyspace.sessions(0)), time.time_ns() // 1_000_000)


def _check_said(**texts: object) -> None:
    for name, value in texts.items():
        if not isinstance(value, str) or not value.strip():
            raise InvalidSettingError(name, value, "say it in words: it is kept on record")
