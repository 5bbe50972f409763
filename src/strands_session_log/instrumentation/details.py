"""What the library tells of its work in this process: durations, counts, outcomes. Never content, nor a session's id.

To tell of something new, add a class here, `hooks.tell(...)` where it happens, and what Prometheus makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["ok", "conflict", "contention", "invalid", "refused", "unavailable", "unknown", "error"]
"""`unknown`: it may have been written. `invalid`: a value cannot be stored. `contention`: the session was too busy."""

SnapshotUse: TypeAlias = Literal["hit", "miss", "dropped", "off"]
"""`dropped`: there was one, and it could not be trusted. `off`: this log keeps none."""

Checked: TypeAlias = Literal["intact", "broken", "unchecked"]
"""`unchecked`: a snapshot stands for some of the events, and nobody has looked at those."""


class Detail:
    """Something the library did; what it is, its class tells."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AppendDone(Detail):
    """A batch was appended, or could not be.

    Attributes:
        seconds: From the call to its end, with all retries.
        events: How many events the batch has.
        bytes: How large they are, as stored: fields and bodies.
        outcome: How it ended.
    """

    seconds: float
    events: int
    bytes: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ConflictSeen(Detail):
    """An append was refused with `ConcurrentWriteError`: someone else had moved the agent, or taken the index."""


@dataclass(frozen=True, slots=True)
class Rechained(Detail):
    """An append met a session that stood elsewhere than believed, and cost another round trip."""


@dataclass(frozen=True, slots=True)
class Retried(Detail):
    """A command is about to be repeated because the server was away.

    Attributes:
        error: Class name of the driver's error.
    """

    error: str


@dataclass(frozen=True, slots=True)
class ServerAwaited(Detail):
    """A subscription, a tail or a recorder waits for the server; told at once, and every minute after that.

    Attributes:
        follower: Which of them: `subscriber`, `tail` or `recorder`.
        error: Class name of the error it met.
        reason: The error, as text.
        seconds: For how long it has waited; 0 the first time.
    """

    follower: str
    error: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ServerWaitOver(Detail):
    """A subscription, a tail or a recorder does not wait for the server any more.

    Attributes:
        follower: Which of them, as before.
        seconds: For how long it waited.
        is_back: Whether the server answers again; otherwise the follower was closed.
    """

    follower: str
    seconds: float
    is_back: bool


@dataclass(frozen=True, slots=True)
class ReadDone(Detail):
    """A page of a session stream was read, or could not be.

    Attributes:
        seconds: How long it took, with all retries.
        events: How many events it brought.
        bytes: How large they are: fields and bodies.
        outcome: How it ended.
    """

    seconds: float
    events: int
    bytes: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Resumed(Detail):
    """The newest state of a session was made, as an agent does that resumes.

    Attributes:
        seconds: How long it took.
        events: How many events had to be folded.
        bytes: How much the snapshot and the events read with it were.
        snapshot: What became of the snapshot.
    """

    seconds: float
    events: int
    bytes: int
    snapshot: SnapshotUse


@dataclass(frozen=True, slots=True)
class IntegrityChecked(Detail):
    """The newest state of a session was made, as an agent does that resumes, and held against the hash chain.

    Attributes:
        result: What that said.
    """

    result: Checked


@dataclass(frozen=True, slots=True)
class Repaired(Detail):
    """A batch of an agent's that could not be appended before is now in the log.

    Attributes:
        events: How many events it has.
    """

    events: int


@dataclass(frozen=True, slots=True)
class RecordingBegunAnew(Detail):
    """The session that a recorder wrote to was deleted, or lost: it goes on with what happened since, in a new one.

    Attributes:
        dropped: How many steps were not written any more as they came before the deletion.
    """

    dropped: int


@dataclass(frozen=True, slots=True)
class SnapshotSaved(Detail):
    """A snapshot was saved.

    Attributes:
        bytes: How much of it was new.
    """

    bytes: int


@dataclass(frozen=True, slots=True)
class SnapshotDropped(Detail):
    """A snapshot was not taken: the log was folded instead, and the snapshot is made anew.

    Attributes:
        reason: `unauthenticated`: nobody with a snapshot key has written it. `damaged`: it is not what was written.
            `outdated`: it is of another history, version, or from before an erasure. `mismatch`: it counts other
            messages than the log has.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class OfGroup(Detail):
    """Something a subscription did.

    Attributes:
        group: The subscription's name.
        events: How many events it is about.
    """

    group: str
    events: int = 1


class Delivered(OfGroup):
    """Events were handed out, for the first time or again."""

    __slots__ = ()


class Redelivered(OfGroup):
    """Events were handed out again: their consumer had died, hung, or failed them."""

    __slots__ = ()


class Acked(OfGroup):
    """Events are done: the server has confirmed it."""

    __slots__ = ()


class Failed(OfGroup):
    """Events could not be handled; they are tried again, or parked."""

    __slots__ = ()


class Lost(OfGroup):
    """Events came to be another consumer's before they were acknowledged here."""

    __slots__ = ()


class Parked(OfGroup):
    """Events failed too often, and were put aside."""

    __slots__ = ()


class EntryRejected(OfGroup):
    """Entries were parked at once: no writer of this library made them, or the session contradicts them."""

    __slots__ = ()


class GapFound(OfGroup):
    """Events are gone from the feed that were not delivered; `events` is the number of such gaps."""

    __slots__ = ()


class GroupAbandoned(OfGroup):
    """Nobody has read a group for so long that the feed is no longer kept for it; `events` is 0."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SessionsSwept(Detail):
    """Sessions whose time was over were deleted: by a sweep, a policy, or a prune.

    Attributes:
        deleted: How many.
        held: How many were left because they are held.
    """

    deleted: int
    held: int


@dataclass(frozen=True, slots=True)
class FeedTrimmed(Detail):
    """Envelopes that no live group needs any more, or past the cap, were removed from the feed.

    Attributes:
        events: How many.
    """

    events: int
