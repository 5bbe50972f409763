"""What a user must be allowed for what it is to do: watch a log, check it, write it, follow it, erase from it.

The commands of the scripts are read from their source; those that a client sends beside them are declared here. Least
privilege begins here: `session-log acl` prints it, `docs/security.md` shows it, `session-log doctor` asks about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import (
    APPEND,
    APPEND_SEALED,
    DELETE,
    ERASE_STEP,
    FEED_TRIM,
    FORK,
    FORK_COPY,
    FORK_NOTE,
    GROUP_COUNT,
    GROUP_DELETE,
    GROUP_FETCH,
    GROUP_GAP,
    GROUP_HEARTBEAT,
    GROUP_LEAVE,
    GROUP_PARKED,
    GROUP_SETTLE,
    GROUP_STATUS,
    GROUP_WORK,
    HOLD,
    IDS,
    IMPORT,
    LIFE,
    LINKS,
    LIVE,
    LOAD,
    LOCATE,
    ONCE,
    OUTCOME,
    RECOUNT,
    RUN,
    SAVE,
    STANDING,
    STORAGE_DELETE,
    STORAGE_WRITE,
    SUBJECT_GONE,
    SUBJECTS,
    TOMBSTONE_ADD,
    TOMBSTONE_SET,
    TOUCH,
    TTL,
    Script,
)

_CALL = re.compile(r"\bp?call\(\s*'([A-Z]+)'(?:\s*,\s*'([A-Z]+)')?")
_LISTED = re.compile(r"\{\s*'([A-Z]{3,})'")
"""A command that is put together before it is called."""
_WITH_SUBCOMMANDS = ("XINFO", "XGROUP", "CLIENT", "CLUSTER", "CONFIG", "ACL", "SCRIPT")
_GLOB, _ESCAPED = re.compile(r"[\\*?\[]"), r"\\\g<0>"
# What the server refuses, and what can be done without: where it lies, `TIME` is that of the client's machine.
_DISPENSABLE = frozenset({"TIME"})


@dataclass(frozen=True, slots=True)
class Role:
    """One kind of user.

    Attributes:
        name: What it is called.
        purpose: What it does.
        commands: What it runs, as access lists name it: `XADD`, `XINFO|GROUPS`.
        reads: Which keys of a namespace it reads, as patterns without the namespace and its colon.
        writes: Which it writes, and reads, likewise.
        probe: One of those keys, which does not exist.
        narrow: Those of its commands that it runs on some of these keys only,
        narrowed: which.
    """

    name: str
    purpose: str
    commands: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()
    probe: str = "{doctor}:session:probe:head"
    narrow: tuple[str, ...] = ()
    narrowed: tuple[str, ...] = ()

    def keys(self, namespace: str) -> tuple[str, ...]:
        """The patterns of its keys, as `ACL SETUSER` takes them; they match those of no other namespace."""
        named = _GLOB.sub(_ESCAPED, namespace)
        reads = (f"%R~{named}:{pattern}" for pattern in self.reads if pattern not in self.writes)
        return (*reads, *(f"~{named}:{pattern}" for pattern in self.writes))

    def selector(self, namespace: str) -> tuple[str, ...]:
        """What it may do with some of its keys only, as `ACL SETUSER` takes it; nothing for most roles."""
        if not self.narrow:
            return ()
        named = _GLOB.sub(_ESCAPED, namespace)
        rules = (*(f"~{named}:{pattern}" for pattern in self.narrowed), *_allowed(self.narrow))
        return (f"({' '.join(rules)})",)

    @property
    def wide(self) -> tuple[str, ...]:
        """Its commands that it runs on all of its keys."""
        return tuple(command for command in self.commands if command not in self.narrow)

    def rules(self, namespace: str) -> str:
        """All of it, as `ACL SETUSER` takes it."""
        return " ".join((*self.keys(namespace), *_allowed(self.wide), *self.selector(namespace)))


def _allowed(commands: Iterable[str]) -> Iterator[str]:
    return (f"+{command.lower()}" for command in commands)


def commands_of(script: Script) -> frozenset[str]:
    """The commands that a script may call, by its source."""
    return frozenset(_called(script.source.decode()))


def _called(text: str) -> Iterator[str]:
    for command, first in _CALL.findall(text):
        yield f"{command}|{first}" if command in _WITH_SUBCOMMANDS else command
    yield from _LISTED.findall(text)


def _needed(scripts: Iterable[Script], beside: str, *others: Role) -> tuple[str, ...]:
    found = set(beside.split()).union(*(role.commands for role in others))
    for script in scripts:
        found |= commands_of(script) - _DISPENSABLE if script.reads_only else commands_of(script)
        found |= {"EVALSHA_RO", "EVAL_RO"} if script.reads_only else {"EVALSHA", "EVAL"}
    return tuple(sorted(found))


_WRITING = (
    *(APPEND, APPEND_SEALED, ONCE, IDS, OUTCOME, RECOUNT, RUN, SAVE, SUBJECTS, TOUCH, TTL, LIFE, LIVE),
    *(FORK, FORK_COPY, FORK_NOTE, IMPORT),
    *(STORAGE_WRITE, STORAGE_DELETE, ERASE_STEP, FEED_TRIM),
)
_ERASING = (
    *(APPEND, APPEND_SEALED, ERASE_STEP, DELETE, HOLD, STORAGE_DELETE),
    *(SUBJECT_GONE, SUBJECTS, TTL, TOMBSTONE_SET),
)
_CONSUMING = (
    *(GROUP_COUNT, GROUP_DELETE, GROUP_GAP, GROUP_HEARTBEAT, GROUP_LEAVE, GROUP_PARKED),
    *(GROUP_SETTLE, GROUP_FETCH, GROUP_WORK, FEED_TRIM),
)

_LOOKING = (
    "EXISTS GET HGET HGETALL HLEN HMGET HSCAN HSTRLEN TYPE XLEN XRANGE XREVRANGE ZCARD ZCOUNT ZMSCORE ZRANGE ZSCORE"
)
_READING = (LINKS, LOAD, LOCATE, STANDING)
"""What whoever reads a session sends."""
_LAYOUT = ("config", "{*}:layout")
_SESSIONS = ("{*}:session:*", "{*}:sessions", "{*}:feed", "{*}:feed:position", "{*}:error_texts")
_TOMBSTONES = ("{*}:tombstones", "{*}:tombstones:times")
_RETENTION = ("{*}:due", "{*}:holds")
_GROUPS = ("{*}:group:*", "{*}:parked:*", "{*}:replay:*")
_STORAGE = ("{*}:storage", "{*}:storage:*")

VIEWER = Role(
    "viewer",
    "lists, shows, searches, exports and tails sessions, sees groups and what they have parked",
    _needed((*_READING, GROUP_STATUS), f"{_LOOKING} XREAD"),
    (*_LAYOUT, *_SESSIONS, *_TOMBSTONES, *_RETENTION, *_GROUPS),
)
AUDITOR = Role(
    "auditor",
    "verifies sessions, also such as the directory does not list, and exports evidence",
    _needed(_READING, f"{_LOOKING} SCAN"),
    (*_LAYOUT, *_SESSIONS, *_TOMBSTONES, *_RETENTION),
)
WITNESS = Role(
    "witness",
    "seals where sessions stand, outside the server, and checks that what was sealed is history still",
    _needed((LINKS, LOCATE), "HGETALL ZRANGE"),
    (*_LAYOUT, "{*}:session:*:events", "{*}:session:*:head", "{*}:sessions", "{*}:tombstones", "{*}:tombstones:times"),
)
WRITER = Role(
    "writer",
    "keeps the sessions of agents: session managers, recorders, storages, forks and rewinds; redacts messages; brings "
    "archived sessions back",
    _needed((*_READING, *_WRITING), f"{_LOOKING} XREAD HSET HSETNX PTTL UNLINK XINFO|GROUPS"),
    ("{*}:holds",),
    (*_LAYOUT, *_SESSIONS, "{*}:tombstones", "{*}:due", "{*}:group:*", *_STORAGE, "{*}:subjects"),
)
SUBSCRIBER = Role(
    "subscriber",
    "follows the feed in consumer groups, settles, parks and replays deliveries, trims the feed",
    _needed(_CONSUMING, "HDEL HSET XINFO|GROUPS XPENDING XREADGROUP", VIEWER),
    (*_LAYOUT, *_SESSIONS, *_TOMBSTONES, *_RETENTION),
    # Where it parks an event with what was said of it, its script looks whether that was erased meanwhile.
    ("{*}:feed", "{*}:feed:position", "{*}:error_texts", "{*}:session:*:events", *_GROUPS),
    "{doctor}:session:probe:events",
)
ERASER = Role(
    "eraser",
    "erases events, which an event records, and what is about persons; deletes, holds, releases and sweeps sessions",
    _needed((*_READING, *_ERASING), f"{_LOOKING} HDEL PTTL UNLINK HKEYS"),
    _LAYOUT,
    (*_SESSIONS, *_TOMBSTONES, *_RETENTION, *_STORAGE, "{*}:subjects"),
)
ARCHIVER = Role(
    "archiver",
    "archives sessions, and drops those that an archive has: it deletes, and writes nothing but tombstones",
    _needed((*_READING, DELETE, TOMBSTONE_SET), _LOOKING),
    _LAYOUT,
    (*_SESSIONS, *_TOMBSTONES, *_RETENTION, "{*}:subjects"),
    "{doctor}:feed",
    ("HSET", "INCRBY", "SET", "XADD", "ZADD"),
    ("{*}:feed", "{*}:feed:position", *_TOMBSTONES),
)
ADMIN = Role(
    "admin",
    "all of these, brings sessions back from bundles, and asks the server how it is set up",
    _needed(
        (IMPORT, TOMBSTONE_ADD),
        "ACL|DRYRUN ACL|WHOAMI CONFIG|GET INFO TIME WAIT",
        *(AUDITOR, WRITER, SUBSCRIBER, ERASER, ARCHIVER),
    ),
    (),
    ("config", "{*"),
)
ROLES = (WITNESS, VIEWER, AUDITOR, WRITER, SUBSCRIBER, ERASER, ARCHIVER, ADMIN)
"""From the one that may do the least."""

OPTIONAL = {
    "TIME": "ages and relative times (`-5m`) by the server's clock; without it by that of this machine",
    "INFO": "how the server persists and evicts; without it only its kind and version are known (`HELLO`)",
    "CONFIG|GET": "the rest of what `doctor` looks at",
    "ACL|WHOAMI ACL|DRYRUN": "what `doctor` says of permissions without trying them",
    "CLIENT|SETNAME": "the name in `CLIENT LIST`",
    "CLIENT|ID CLIENT|UNBLOCK": "a new tail of a process begins at once, not within a second",
    "SELECT": "a database other than 0",
    "WAIT WAITAOF": "`durability` other than `memory`",
    "CLUSTER|SLOTS COMMAND ASKING": "a cluster: needed by the driver",
    "READONLY": "a cluster client with `read_from_replicas=True`, which the log does not make use of",
}
"""What needs to be allowed only where it is made use of; and what is not kept without it."""
