"""Where things are kept in Valkey.

A session belongs to partition `p = crc32(session id) % P`. Everything of a session and the feed of its partition
carry the partition's hash tag, so one script writes them together, in a cluster too. Tags are chosen so that the
partitions spread evenly over the cluster's 16,384 slots: the tag of partition p is the smallest number whose slot
lies in the p-th of P equal stretches of the slot range.
"""

from __future__ import annotations

import binascii
import zlib
from functools import lru_cache
from itertools import count
from typing import NamedTuple

from .errors import InvalidIdError
from .ids import check_id

FORMAT = 2
"""Version of the key layout and entry format; written once per namespace."""

DEFAULT_NAMESPACE = "strands"
DEFAULT_PARTITIONS = 16
MAX_PARTITIONS = 1024
_SLOTS = 16_384


class SessionKeys(NamedTuple):
    """The keys of one session; they share one slot with the partition's feed and directory."""

    events: str
    head: str
    snapshot: str
    live: str
    rewrite: str
    ids: str
    feed: str
    sessions: str
    position: str
    tombstones: str
    texts: str
    due: str
    holds: str
    subjects: str
    run: str

    @property
    def append(self) -> tuple[str, ...]:
        """Those the append script takes, in its order, for a session that has begun."""
        return self.events, self.head, self.feed, self.sessions, self.position

    @property
    def begin(self) -> tuple[str, ...]:
        """Those it takes for one that begins."""
        return *self.append, self.tombstones

    @property
    def once(self) -> tuple[str, ...]:
        """Those the script takes that appends once."""
        return *self.begin, self.ids

    @property
    def about(self) -> tuple[str, ...]:
        """Those the script takes that notes whom a session is about."""
        return *self.begin, self.subjects

    @property
    def hold(self) -> tuple[str, ...]:
        """Those the script takes that holds and releases."""
        return *self.begin, self.holds, self.due

    @property
    def delete(self) -> tuple[str, ...]:
        """Those the delete script takes, in its order."""
        of_session = self.events, self.head, self.snapshot, self.live, self.rewrite, self.ids
        tombstones = self.tombstones, f"{self.tombstones}:times"
        of_partition = self.sessions, self.feed, self.position, *tombstones, self.texts
        return *of_session, *of_partition, self.due, self.holds, self.subjects, self.run


class GroupKeys(NamedTuple):
    """The keys of a subscription in one partition; they share one slot.

    Attributes:
        feed: What it reads; the consumer group of its name is on it.
        group: Its checkpoint, a hash.
        parked: Its dead letters, a stream.
        position: How much the feed has had.
        replay: The ids of dead letters that are to be tried again, a sorted set in the order they were asked for.
        texts: What handlers said of what is parked, a hash; all groups have the same.
    """

    feed: str
    group: str
    parked: str
    position: str
    replay: str
    texts: str


class StorageKeys(NamedTuple):
    """The keys of one stored value; they share one slot."""

    value: str
    listing: str
    subjects: str


class Keyspace(NamedTuple):
    """The keys of one namespace.

    Attributes:
        namespace: First part of every key.
        partitions: How many partitions the namespace has, P.
    """

    namespace: str
    partitions: int

    def partition(self, session_id: str) -> int:
        """The partition a session belongs to, from 0."""
        return zlib.crc32(session_id.encode()) % self.partitions

    def session(self, session_id: str) -> SessionKeys:
        """The keys of a session.

        Raises:
            InvalidIdError: When the id cannot be one.
        """
        # An id of another kind may have no hash, and is to be refused by its name, too.
        return _session_keys(self, session_id if type(session_id) is str else check_id("session_id", session_id))

    def feed(self, partition: int) -> str:
        """The stream of envelopes of a partition."""
        return f"{self._prefix(partition)}:feed"

    def position(self, partition: int) -> str:
        """The counter of what a partition's feed has had."""
        return f"{self.feed(partition)}:position"

    def sessions(self, partition: int) -> str:
        """The sorted set of a partition's sessions by last activity."""
        return f"{self._prefix(partition)}:sessions"

    def tombstones(self, partition: int) -> str:
        """The hash of what was deleted in a partition."""
        return f"{self._prefix(partition)}:tombstones"

    def texts(self, partition: int) -> str:
        """The hash of what handlers said of what is parked in a partition: it may quote content, and goes with it."""
        return f"{self._prefix(partition)}:error_texts"

    def due(self, partition: int) -> str:
        """The sorted set of a partition's sessions that have a time to live, by when they are due."""
        return f"{self._prefix(partition)}:due"

    def holds(self, partition: int) -> str:
        """The sorted set of a partition's sessions that are held, by since when."""
        return f"{self._prefix(partition)}:holds"

    def subjects(self, partition: int) -> str:
        """The sorted set of whom a partition's sessions and stored values are about, by keyed hash."""
        return f"{self._prefix(partition)}:subjects"

    def layout(self, partition: int) -> str:
        """The hash that says, in a partition, how many there are."""
        return _layout(self.namespace, tags(self.partitions)[partition])

    def group(self, partition: int, name: str) -> GroupKeys:
        """The keys of a subscription in one partition.

        Raises:
            InvalidIdError: When the name cannot be one.
        """
        return _group_keys(self, partition, check_id("group", name))

    def groups(self, name: str) -> tuple[GroupKeys, ...]:
        """The same in all partitions, in their order."""
        return _groups(self, check_id("group", name))

    def group_key(self, partition: int, name: bytes) -> bytes:
        """The hash of a consumer group on the feed, whoever gave it its name."""
        return f"{self._prefix(partition)}:group:".encode() + name

    def stored(self, key: str) -> StorageKeys:
        """The keys of what is stored under a key of `ValkeyStorage`; its partition is that of a session so named."""
        partition = self.partition(key)
        listing = self.storage(partition)
        return StorageKeys(f"{listing}:{key}", listing, self.subjects(partition))

    def storage(self, partition: int) -> str:
        """The sorted set of the keys stored in a partition."""
        return f"{self._prefix(partition)}:storage"

    def _prefix(self, partition: int) -> str:
        return _prefix(self.namespace, self.partitions, partition)


@lru_cache(maxsize=MAX_PARTITIONS)
def _prefix(namespace: str, partitions: int, partition: int) -> str:
    return f"{namespace}:{{{tags(partitions)[partition]}}}"


@lru_cache(maxsize=16)
def _groups(keyspace: Keyspace, name: str) -> tuple[GroupKeys, ...]:
    return tuple(_group_keys(keyspace, partition, name) for partition in range(keyspace.partitions))


@lru_cache(maxsize=MAX_PARTITIONS)
def _group_keys(keyspace: Keyspace, partition: int, name: str) -> GroupKeys:
    prefix = keyspace._prefix(partition)
    return GroupKeys(
        feed=keyspace.feed(partition),
        group=f"{prefix}:group:{name}",
        parked=f"{prefix}:parked:{name}",
        position=keyspace.position(partition),
        replay=f"{prefix}:replay:{name}",
        texts=keyspace.texts(partition),
    )


@lru_cache(maxsize=4096)
def _session_keys(keyspace: Keyspace, session_id: str) -> SessionKeys:
    check_id("session_id", session_id)
    partition = keyspace.partition(session_id)
    prefix = f"{keyspace._prefix(partition)}:session:{session_id}"
    return SessionKeys(
        events=f"{prefix}:events",
        head=f"{prefix}:head",
        snapshot=f"{prefix}:snapshot",
        live=f"{prefix}:live",
        rewrite=f"{prefix}:rewrite",
        ids=f"{prefix}:ids",
        feed=keyspace.feed(partition),
        sessions=keyspace.sessions(partition),
        position=keyspace.position(partition),
        tombstones=keyspace.tombstones(partition),
        texts=keyspace.texts(partition),
        due=keyspace.due(partition),
        holds=keyspace.holds(partition),
        subjects=keyspace.subjects(partition),
        run=f"{prefix}:run",
    )


def config_key(namespace: str) -> str:
    """The hash that says how a namespace is laid out."""
    return f"{namespace}:config"


def check_namespace(namespace: str) -> str:
    """Accept what `check_id` accepts, without braces, which would move the hash tag.

    Raises:
        InvalidIdError: When it is anything else.
    """
    check_id("namespace", namespace)
    if "{" in namespace or "}" in namespace:
        raise InvalidIdError("namespace", namespace, "must not contain braces")
    return namespace


@lru_cache(maxsize=8)
def tags(partitions: int) -> tuple[str, ...]:
    """The hash tag of every partition, as decimal text."""
    found: dict[int, str] = {}
    for number in count():
        stretch = slot(str(number)) * partitions // _SLOTS
        found.setdefault(stretch, str(number))
        if len(found) == partitions:
            return tuple(found[stretch] for stretch in range(partitions))
    raise AssertionError("unreachable")


def first_layouts(namespace: str) -> tuple[str, ...]:
    """Where the layout of the first partition can stand, whatever the number of partitions: a few keys."""
    return tuple(_layout(namespace, tag) for tag in _first_tags())


@lru_cache(maxsize=1)
def _first_tags() -> tuple[str, ...]:
    found, lowest = list[str](), _SLOTS
    for number in count():
        if slot(str(number)) < lowest:
            lowest = slot(str(number))
            found.append(str(number))
        if lowest * MAX_PARTITIONS < _SLOTS:
            return tuple(found)
    raise AssertionError("unreachable")


def _layout(namespace: str, tag: str) -> str:
    return f"{namespace}:{{{tag}}}:layout"


def slot(tag: str) -> int:
    """The cluster slot of a hash tag: CRC16 (XMODEM) modulo 16,384 (Valkey cluster specification)."""
    return binascii.crc_hqx(tag.encode(), 0) % _SLOTS
