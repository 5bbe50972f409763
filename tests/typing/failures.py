"""Errors and their fields as users read them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from strands_session_log import EventId, FeedId, Point, SessionLog, errors

log = SessionLog.connect("embedded:")

try:
    log.append("s-42", [])
except errors.SessionLostError as error:
    gone: str = error.session_id
except errors.ConcurrentWriteError as error:
    believed: Mapping[str, object] = error.expected
    found: Mapping[str, object] = error.actual
except errors.EventOrderError as error:
    standing: list[tuple[str, EventId | None]] = [*error.standing]
except errors.ContentionError as error:
    attempts: int = error.attempts
except errors.EncodingError as error:
    path: str = error.path
except errors.UnknownOutcomeError as error:
    unknown: str = error.reason
except errors.ServerNotReadyError as error:
    refused: tuple[str, str, bool] = (error.reason, error.cure, error.may_have_written)
except errors.ServerUnavailableError as error:
    written: bool = error.may_have_written

try:
    log.rewind("s-42", 7)
except errors.SessionNotBegunError as error:
    asked: Point | None = error.at
    began: datetime = error.began
except errors.SessionNotFoundError as error:
    missing: str = error.session_id
except errors.RevisionNotFoundError as error:
    revision: int = error.revision
    given: EventId | None = error.event_id
except errors.UnansweredToolCallsError as error:
    at: EventId = error.at
    nearest: tuple[EventId, ...] = error.nearest
except errors.SessionDeletedError as error:
    deleted: str = error.session_id
except errors.LogForkedError as error:
    position: EventId | FeedId = error.position
except errors.SessionBrokenError as error:
    first: EventId | None = error.at
except errors.SnapshotMismatchError as error:
    of: EventId = error.position

try:
    next(iter(log.tail()))
except errors.FeedGapError as error:
    after: FeedId = error.after
    before: FeedId | None = error.before
    count: int | None = error.count
except errors.EnvelopeMismatchError as error:
    event: EventId = error.id
    place: FeedId = error.feed_id
except errors.DeliveryLostError as error:
    taken: EventId = error.id
except errors.CorruptEntryError as error:
    entry: str = error.entry_id
except errors.GroupNotFoundError as error:
    known: tuple[str, ...] = error.known
except errors.InvalidPointError as error:
    value: object = error.value
except errors.InvalidSettingError as error:
    setting: tuple[str, str, str] = (error.name, error.value, error.cure)
except errors.UnknownArgumentError as error:
    meant: str = error.meant
