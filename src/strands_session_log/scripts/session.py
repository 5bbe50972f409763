"""The scripts about sessions, as functions: named arguments in, typed replies out.

What a script does, and in which order it takes what, stands in `lua/session/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias

from ..codec import RawEntry
from ..errors import ServerRefusedError
from ..ids import START, EventId
from ..server import Store, pairs, text
from . import (
    APPEND,
    APPEND_SEALED,
    ERASE_STEP,
    FORK,
    FORK_COPY,
    FORK_NOTE,
    IDS,
    LIFE,
    LOCATE,
    ONCE,
    OUTCOME,
    RECOUNT,
    STANDING,
    TOUCH,
)
from .message_call import BEFORE_EVENTS, OF_EVENT, append_keys, packed_message

_new = tuple.__new__


class Landed(NamedTuple):
    """A batch is in its session.

    Attributes:
        ids: Its events.
        link: The hash chain at the last of them, base64url.
        begins_feed: Whether the feed of the partition begins anew with it: then other things may be gone, too.
    """

    ids: list[EventId]
    link: str
    begins_feed: bool


class Moved(NamedTuple):
    """The session stands elsewhere than the batch was made for.

    Attributes:
        id: Where.
        link: The hash chain there; of a session that was deleted, the token of its deletion.
    """

    id: EventId
    link: str


class Conflict(NamedTuple):
    """Something that was expected of the session is not so: what, of which agent, and how it is instead."""

    what: str
    agent: str
    actual: str


class Deleted(NamedTuple):
    """The call came late: it is of a session that was deleted since."""


class PartlyThere(NamedTuple):
    """Some events of the batch are in the session already: their ids, empty for those that are not."""

    ids: Sequence[str]


class Behind(NamedTuple):
    """The index of event ids has to catch up first: up to which event it goes, and the link there."""

    id: str
    link: str


class RewriteHeld(NamedTuple):
    """Nothing of the session is erased while it is held.

    Attributes:
        held: The events that hold it, as its head names them.
    """

    held: str


class SealedBy(NamedTuple):
    """The content of the session is encrypted, and that of the batch is not, or with another key.

    Attributes:
        root: The session whose key it is.
    """

    root: str


class Copied(NamedTuple):
    """How far a rewrite is, and where its session stands."""

    upto: EventId
    head: Moved


class Life(NamedTuple):
    """Which of the sessions that have had an id stands there, or would begin there.

    Attributes:
        name: Tells it from every other: when it began in milliseconds, a space, and what the tombstone of the one
            before it says. It has not begun yet if that is all, after a space.
        deleted_ago: How many seconds ago the last session of this id was deleted; None if none is known of.
    """

    name: str
    deleted_ago: float | None = None


AppendReply: TypeAlias = "Landed | Moved | Conflict | Deleted | PartlyThere | Behind | SealedBy"


def append(
    store: Store, session_id: str, batch: Sequence[bytes], begins: bool, root: bytes = b""
) -> tuple[AppendReply, bool]:
    """Append a batch.

    Args:
        store: Where.
        session_id: The session.
        batch: See `chained_batch`.
        begins: Whether the session begins with it.
        root: Whose key its content is encrypted with; empty if it is not.

    Returns:
        What came of it; and whether there was an attempt before that brought no reply.
    """
    count = (len(batch) - BEFORE_EVENTS) // OF_EVENT
    packed = b"" if begins else packed_message(store.keyspace, session_id, batch, root)
    script, arguments = (APPEND_SEALED, [*batch, root]) if root else (APPEND, batch)
    reply, was_lost = store.run_pinned(
        script, append_keys(store.keyspace, session_id, begins), arguments, session_id, packed
    )
    return _landed(reply, count) if type(reply) is bytes else appended(reply, batch), was_lost


def append_once(
    store: Store, session_id: str, batch: Sequence[bytes], kept: int, root: bytes = b""
) -> tuple[AppendReply, bool]:
    """The same, unless its events are in the session already; so many of the newest are known by their ids."""
    keys = store.keyspace.session(session_id).once
    last = b"%d %b" % (kept, root) if root else b"%d" % kept
    reply, was_lost = store.run_pinned(ONCE, keys, [*batch, last], session_id)
    return appended(reply, batch), was_lost


def outcome(store: Store, session_id: str, calls: Sequence[tuple[str, int, str]]) -> tuple[Landed | Moved, bool]:
    """Which of some calls has landed: of each its base, how many events it has, and its last link.

    Returns:
        What came of them; and if none has landed, whether content of the session is encrypted.
    """
    keys = store.keyspace.session(session_id)
    arguments = [str(part).encode() for part in chain.from_iterable(calls)]
    reply, _ = store.run_pinned(OUTCOME, (keys.events, keys.head), arguments, session_id)
    if isinstance(reply, bytes):
        link = reply.split(b" ")[1].decode()
        return _landed(reply, next(count for _, count, its_link in calls if its_link == link)), False
    _, id_, link, root = map(text, reply)
    return Moved(EventId.parse(id_), link), bool(root)


def erase_step(
    store: Store, session_id: str, recording: Sequence[bytes], step: bytes
) -> Landed | Copied | Deleted | RewriteHeld | None:
    """One step of erasing.

    Args:
        store: Where.
        session_id: The session.
        recording: A batch that records the erasure; nothing while the end is far.
        step: What to do, JSON.

    Returns:
        The end, or how far it is; None when another rewrite came first.
    """
    keys = store.keyspace.session(session_id)
    script_keys, arguments = (*keys.append, keys.rewrite, keys.snapshot, keys.live, keys.texts), [*recording, step]
    if recording:
        reply = store.run_and_wait(ERASE_STEP, script_keys, arguments, session_id)
    else:
        # There is nothing yet that must be durable.
        reply = store.run(ERASE_STEP, script_keys, arguments)
    match reply:
        case [b"copied", upto, id_, link]:
            return Copied(EventId.parse(upto) if upto else START, Moved(EventId.parse(id_), link.decode()))
        case [b"gone"]:
            return Deleted()
        case [b"held", held]:
            return RewriteHeld(text(held))
    return _landed(reply, 1) if isinstance(reply, bytes) else None


def recount(store: Store, session_id: str, position: tuple[EventId, str], summary: Mapping[str, str]) -> bool:
    """Put what was counted up to a position in place of what the head sums up; false where it stands elsewhere."""
    at, link = position
    arguments = (at.revision, link, summary["counts"], summary["open"])
    return bool(store.run(RECOUNT, [store.keyspace.session(session_id).head], arguments))


def touch(store: Store, session_id: str) -> None:
    """Wait until what earlier connections have written is as safe as what is written now."""
    store.run_and_wait(TOUCH, [store.keyspace.session(session_id).head], [], session_id)


def fork(store: Store, session_id: str, copy: str, batch: Sequence[bytes], making: bytes) -> Landed | bool:
    """Put a copy into place as a session.

    Args:
        store: Where.
        session_id: The session that begins so.
        copy: The key of the copy.
        batch: Events that follow it.
        making: How large the copy is, and the head it gets, JSON.

    Returns:
        Where it stands; whether there is such a session, when it could not be done.
    """
    keys = store.keyspace.session(session_id)
    script_keys = (*keys.append, copy, keys.snapshot, keys.live, keys.tombstones, keys.due, keys.subjects)
    reply = store.run_and_wait(FORK, script_keys, [*batch, making], session_id)
    found = appended(reply, batch)
    return found if isinstance(found, Landed) else bool(reply[0] == b"exists")


def add_to_copy(
    store: Store,
    copy: str,
    begins: bool,
    entries: Sequence[RawEntry],
    expire_ms: int,
    sent: Callable[[Sequence[RawEntry]], object],
) -> bool:
    """Add entries, as they stand, to the copy that is to become a fork; false when it was taken away meanwhile.

    Args:
        store: Where.
        copy: Its key.
        begins: Whether it begins with them.
        entries: What to add.
        expire_ms: For how many milliseconds it outlives this call.
        sent: See `Store.extend`.
    """
    if begins:
        id_, fields = entries[0]
        store.run(FORK_COPY, [copy], [expire_ms, id_, *fields])
        sent(entries[:1])
    return store.extend(copy, entries[1:] if begins else entries, expire_ms, sent)


def note_fork(store: Store, session_id: str, token: str, note: str) -> bytes | None:
    """Note in a head that a fork is made of the session; take it back with an empty note.

    Returns:
        The head's erased ranges; None without a session.
    """
    found: bytes | None = store.run(FORK_NOTE, [store.keyspace.session(session_id).head], [token, note])
    return found


def add_ids(
    store: Store, session_id: str, known: tuple[str, str], new: tuple[str, str], kept: int, ids: Mapping[str, str]
) -> bool:
    """Add to the index of event ids; false when somebody else was quicker, or where there is no session.

    Args:
        store: Where.
        session_id: The session.
        known: The id and link of the event it goes to; both empty to begin it anew.
        new: The same once this is added.
        kept: How many ids it has at least.
        ids: By event id, where the event stands.
    """
    keys = store.keyspace.session(session_id)
    return bool(store.run(IDS, [keys.head, keys.ids], [*known, *new, kept, *chain.from_iterable(ids.items())]))


def locate(store: Store, stream: str, number: int) -> EventId | None:
    """The id of the entry of a stream that has this number; None when there is none."""
    found = store.run(LOCATE, [stream], [number])
    return EventId.parse(text(found)) if found else None


def life(store: Store, session_id: str) -> Life:
    """Which session stands under an id."""
    keys = store.keyspace.session(session_id)
    name, ago = map(text, store.run(LIFE, [keys.head, keys.tombstones], [session_id]))
    return Life(name, float(ago) / 1000 if ago else None)


class Scores(NamedTuple):
    """What stands of a session in the sorted sets of its partition: empty where it is not listed, `none` of no set.

    Attributes:
        listed: In the directory, by its last activity.
        due: Among those with a time to live, by when it is over.
        held: Among those that are held, by since when.
    """

    listed: str = ""
    due: str = ""
    held: str = ""


def standing(
    store: Store, session_id: str, start: str, count: int
) -> tuple[dict[bytes, bytes] | None, list[RawEntry], Scores]:
    """A session as of one moment: head, events from there on, and where its partition lists it.

    Returns:
        The head is None where it is no hash.

    Raises:
        ServerRefusedError: When the events are no stream.
    """
    keys = store.keyspace.session(session_id)
    script_keys = keys.events, keys.head, keys.sessions, keys.due, keys.holds
    head, entries, *scores = store.run(STANDING, script_keys, (session_id, start, count))
    if isinstance(entries, bytes):
        raise ServerRefusedError(text(entries))
    return None if isinstance(head, bytes) else dict(pairs(head)), entries, Scores(*map(text, scores))


def appended(reply: bytes | Sequence[bytes], batch: Sequence[bytes]) -> AppendReply:
    """What an append of a batch answers."""
    if isinstance(reply, bytes):
        return _landed(reply, (len(batch) - BEFORE_EVENTS) // OF_EVENT)
    match [part.decode() for part in reply]:
        case ["moved", id_, link]:
            return Moved(EventId.parse(id_), link)
        case ["conflict", what, agent, actual]:
            return Conflict(what, agent, actual)
        case ["stand", *ids]:
            return PartlyThere(ids)
        case ["behind", id_, link]:
            return Behind(id_, link)
        case ["sealed", root]:
            return SealedBy(root)
    return Deleted()


def _landed(reply: bytes, count: int) -> Landed:
    """Of a batch of so many events. The script has made the first id, so it need not be looked at twice."""
    word, link, id_ = reply.split(b" ")
    ms, _, first = id_.partition(b"-")
    time, revision = int(ms), int(first)
    if count == 1:
        ids = [_new(EventId, (time, revision))]
    else:
        ids = [_new(EventId, (time, number)) for number in range(revision, revision + count)]
    return _new(Landed, (ids, link.decode(), word == b"begun"))
