"""Every error this library raises on purpose, with the values that caused it as fields.

All derive from `SessionLogError`, so one `except` clause covers the library; those a caller may want to tell
apart have a class of their own. Each builds its own message, and the message names the value and the cure.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from .archiving import ArchivedCopyError, ArchivedSessionMissingError, ArchiveUnavailableError, ForksRemainError
from .base import SessionLogError, shown
from .bundles import BundleError, BundleNotIntactError, BundleTooLargeError, ImportRefusedError
from .conflicts import (
    AlreadyAnsweredError,
    ConcurrentWriteError,
    EventOrderError,
    RunInProgressError,
    RunLeaseLostError,
    SessionHeldError,
    SessionLostError,
    SessionNotHeldError,
)
from .copying import NotCopied, NotCopiedError
from .damage import (
    CorruptEntryError,
    CorruptKeyError,
    LogForkedError,
    SessionBrokenError,
    SessionDeletedError,
    SnapshotMismatchError,
    WrongTypeError,
)
from .encryption import (
    CiphertextError,
    EncryptionError,
    ForkedKeyError,
    KeyMissingError,
    KeyServiceError,
    KeyShreddedError,
    KeyStoreError,
    SessionEncryptedError,
    WrongKeyError,
)
from .following import (
    AsyncioNeededError,
    DeliveryLostError,
    EnvelopeMismatchError,
    FeedGapError,
    GroupNotFoundError,
    HandlerError,
    ParkedNotFoundError,
    PositionUnknownError,
)
from .forking import MessageNotEditableError, UnansweredToolCallsError
from .sealing import (
    SealBusyError,
    SealDamagedError,
    SealError,
    SealKeyError,
    SealMismatchError,
    SealNotFoundError,
    SealUnwritableError,
)
from .server import (
    ClusterNotReadyError,
    DiskWriteError,
    EmbeddedServerError,
    EvictionPolicyError,
    ForbiddenError,
    NotEnoughReplicasError,
    OutOfMemoryError,
    ReadOnlyServerError,
    ServerBusyError,
    ServerLoadingError,
    ServerNotReadyError,
    ServerRefusedError,
    ServerUnavailableError,
    TlsError,
    UnsupportedServerError,
    UnusableClientError,
)
from .settings import (
    InvalidPolicyError,
    InvalidSettingError,
    MissingExtraError,
    UnknownArgumentError,
    check_choice,
    check_flag,
    check_kind,
    check_log,
    check_seconds,
    check_whole,
    refuse_unknown,
    with_settings_of,
)

if TYPE_CHECKING:
    from ..ids import EventId, Point

__all__ = [
    "AlreadyAnsweredError",
    "ArchiveUnavailableError",
    "ArchivedCopyError",
    "ArchivedSessionMissingError",
    "AsyncioNeededError",
    "BundleError",
    "BundleNotIntactError",
    "BundleTooLargeError",
    "CiphertextError",
    "ClusterNotReadyError",
    "ConcurrentWriteError",
    "ConfigChangedError",
    "ContentionError",
    "CorruptEntryError",
    "CorruptKeyError",
    "DeliveryLostError",
    "DiskWriteError",
    "EmbeddedServerError",
    "EncodingError",
    "EncryptionError",
    "EnvelopeMismatchError",
    "EventOrderError",
    "EvictionPolicyError",
    "FeedGapError",
    "ForbiddenError",
    "ForkedKeyError",
    "ForksRemainError",
    "GroupNotFoundError",
    "HandlerError",
    "ImportRefusedError",
    "InvalidAnchorError",
    "InvalidIdError",
    "InvalidPointError",
    "InvalidPolicyError",
    "InvalidSettingError",
    "InvalidUrlError",
    "KeyMissingError",
    "KeyServiceError",
    "KeyShreddedError",
    "KeyStoreError",
    "LogForkedError",
    "MessageNotEditableError",
    "MissingExtraError",
    "NamespaceMismatchError",
    "NamespaceNotFoundError",
    "NotCopied",
    "NotCopiedError",
    "NotEnoughReplicasError",
    "OutOfMemoryError",
    "ParkedNotFoundError",
    "PositionUnknownError",
    "ReadOnlyServerError",
    "RevisionNotFoundError",
    "RunInProgressError",
    "RunLeaseLostError",
    "SealBusyError",
    "SealDamagedError",
    "SealError",
    "SealKeyError",
    "SealMismatchError",
    "SealNotFoundError",
    "SealUnwritableError",
    "ServerBusyError",
    "ServerLoadingError",
    "ServerNotReadyError",
    "ServerRefusedError",
    "ServerUnavailableError",
    "SessionBrokenError",
    "SessionDeletedError",
    "SessionEncryptedError",
    "SessionExistsError",
    "SessionHeldError",
    "SessionLogError",
    "SessionLostError",
    "SessionNotBegunError",
    "SessionNotFoundError",
    "SessionNotHeldError",
    "SnapshotMismatchError",
    "TlsError",
    "UnansweredToolCallsError",
    "UnknownArgumentError",
    "UnknownOutcomeError",
    "UnsupportedServerError",
    "UnusableClientError",
    "WrongKeyError",
    "WrongTypeError",
    "check_choice",
    "check_flag",
    "check_kind",
    "check_log",
    "check_seconds",
    "check_whole",
    "refuse_unknown",
    "shown",
    "with_settings_of",
]


_LONGEST = 200


class InvalidIdError(SessionLogError, ValueError):
    """A session, agent or namespace id that cannot be used as one."""

    def __init__(self, kind: str, value: object, reason: str) -> None:
        self.kind, self.value, self.reason = kind, value, reason
        super().__init__(f"{kind}={shown(value)}: {reason}")


class InvalidAnchorError(SessionLogError, ValueError):
    """What was noted of a session, but is no revision with a link."""

    def __init__(self, value: object) -> None:
        self.value = value
        super().__init__(
            f"{shown(value)} is no anchor: give a revision and the link there, as 'session-log anchor' prints them: "
            "12:LINK, and of which session in a file: 12:LINK SESSION"
        )


EVENTS = "a revision (12) or an event id (1700000000000-12)"
"""What may be given where only an event makes sense."""
TIMES = "an ISO date (2026-01-31T12:00:00Z) or a relative time (-5m)"
"""What may be given where only a time makes sense."""
POINTS = f"{EVENTS.replace(' or ', ', ')}, {TIMES}"
"""What may be given where any point in a session makes sense."""


class InvalidPointError(SessionLogError, ValueError):
    """A point in time that is not a revision, an event id, a date or a relative time.

    Attributes:
        value: What was given.
        reason: Why it is none, where that is known.
        takes: What may be given in this place.
    """

    def __init__(self, value: object, reason: str = "", takes: str = POINTS) -> None:
        self.value, self.reason, self.takes = value, reason, takes
        given = shown(value)
        given = given if len(given) <= _LONGEST else f"{given[:_LONGEST]}…"
        told = f"{given} is no point in time{f', {reason}' if reason else ''}"
        super().__init__(f"{told}{'; or ' if reason else ': '}give {takes}" if takes else told)


class InvalidUrlError(SessionLogError, ValueError):
    """A server URL this library does not understand."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(f"cannot use the URL {url!r}: {reason}")


class EncodingError(SessionLogError, ValueError):
    """A value that cannot be stored without loss; nothing was written.

    Attributes:
        path: Where the value stands, for example `message.content[0].toolResult.content[0].json.total`.
        reason: What is wrong with it.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path or 'the value'} cannot be stored: {reason}")


class SessionNotFoundError(SessionLogError, LookupError):
    """There is no session with this id."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"there is no session {session_id!r}")


class SessionNotBegunError(SessionNotFoundError):
    """The session had no event yet at the point that was asked for.

    Attributes:
        session_id: The session.
        at: The point, as it was given.
        began: The server's time of the session's first event.
    """

    def __init__(self, session_id: str, at: Point | None, began: datetime) -> None:
        self.session_id, self.at, self.began = session_id, at, began
        when = began.isoformat(timespec="milliseconds")
        SessionLogError.__init__(self, f"session {session_id!r} had not begun by {at}: its first event is of {when}")


class RevisionNotFoundError(SessionLogError, LookupError):
    """The session does not have this revision, or not at the time its event id names.

    Attributes:
        session_id: The session.
        revision: The revision.
        event_id: The id, where one was given.
    """

    def __init__(self, session_id: str, revision: int, event_id: EventId | None = None) -> None:
        self.session_id, self.revision, self.event_id = session_id, revision, event_id
        what = f"revision {revision}" if event_id is None else f"event {event_id}"
        super().__init__(f"session {session_id!r} has no {what}")


class SessionExistsError(SessionLogError):
    """There is a session where a new one was to begin; nothing was written."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"there is a session {session_id!r} already: give the new one another id, or delete that one")


class ContentionError(SessionLogError):
    """The session was so busy that an unfenced append lost every one of its bounded attempts; nothing was written."""

    def __init__(self, session_id: str, attempts: int) -> None:
        self.session_id, self.attempts = session_id, attempts
        super().__init__(f"session {session_id!r} moved during each of {attempts} attempts to append; try again later")


class UnknownOutcomeError(SessionLogError):
    """The server did not answer, or answered less than was asked: the batch may or may not be durable.

    Appending the very same batch again, with the same `SessionLog`, is safe and settles the question.
    """

    def __init__(self, session_id: str, reason: str) -> None:
        self.session_id, self.reason = session_id, reason
        super().__init__(
            f"the outcome of the append to session {session_id!r} is unknown: {reason}. Append the very same batch "
            "again, with the same SessionLog, to settle it"
        )


class NamespaceNotFoundError(SessionLogError):
    """A namespace that was never written to, and a user who may not begin it."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        super().__init__(
            f"namespace={namespace!r}: there is nothing of it on this server, and the user may not begin it; look at "
            "the name, or open it once as a user who may write"
        )


class NamespaceMismatchError(SessionLogError):
    """The namespace was created with another format or partition count."""

    def __init__(self, namespace: str, setting: str, expected: object, actual: object) -> None:
        self.namespace, self.setting, self.expected, self.actual = namespace, setting, expected, actual
        super().__init__(
            f"namespace {namespace!r} has {setting}={actual}, not {expected}: use {actual}, or another namespace"
        )


class ConfigChangedError(NamespaceMismatchError):
    """The partitions of a namespace were laid out with another count than its config says: somebody changed that.

    Attributes:
        key: Where the config stands.
        expected: The count it says.
        actual: The count the partitions were laid out with.
    """

    def __init__(self, key: str, expected: int, actual: int) -> None:
        self.key, self.namespace, self.setting = key, key.removesuffix(":config"), "partitions"
        self.expected, self.actual = expected, actual
        SessionLogError.__init__(
            self,
            f"{key!r} says partitions={expected}, but the namespace was laid out with {actual}, and its sessions "
            f"cannot be found with another count: HSET {key} partitions {actual}",
        )
