"""What a user must be allowed for what it is to do: read a log, write one, follow it, erase from it, look after it.

The commands of the scripts are read from their source; those that a client sends beside them are declared here. Least
privilege begins with this table: `docs/security.md` shows it, and `session-log doctor` asks the server about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import (
    APPEND,
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
    LIFE,
    LIVE,
    LOAD,
    LOCATE,
    ONCE,
    OUTCOME,
    RECOUNT,
    SAVE,
    STANDING,
    STORAGE_DELETE,
    STORAGE_WRITE,
    SUBJECT_GONE,
    SUBJECTS,
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
        writes: Whether it changes keys; otherwise it needs them for reading only.
    """

    name: str
    purpose: str
    commands: tuple[str, ...]
    writes: bool = True

    def keys(self, namespace: str) -> str:
        """The pattern of the keys it touches, as `ACL SETUSER` takes it."""
        return f"{'~' if self.writes else '%R~'}{_GLOB.sub(_ESCAPED, namespace)}:*"

    def rules(self, namespace: str) -> str:
        """All of it, as `ACL SETUSER` takes it."""
        return " ".join((self.keys(namespace), *(f"+{command.lower()}" for command in self.commands)))


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
    *(APPEND, ONCE, IDS, OUTCOME, RECOUNT, SAVE, SUBJECTS, TOUCH, TTL, LIFE, LIVE, FORK, FORK_COPY, FORK_NOTE),
    *(STORAGE_WRITE, STORAGE_DELETE, ERASE_STEP),
)
_CONSUMING = (
    *(GROUP_COUNT, GROUP_DELETE, GROUP_GAP, GROUP_HEARTBEAT, GROUP_LEAVE, GROUP_PARKED),
    *(GROUP_SETTLE, GROUP_FETCH, GROUP_WORK, FEED_TRIM),
)

READER = Role(
    "reader",
    "lists, shows, verifies, exports and tails sessions, sees groups and what they have parked",
    _needed(
        (LOAD, LOCATE, STANDING, GROUP_STATUS),
        "EXISTS GET HGET HGETALL HLEN HMGET HSCAN HSTRLEN SCAN TYPE XLEN XRANGE XREAD XREVRANGE "
        "ZCARD ZCOUNT ZMSCORE ZRANGE ZSCORE",
    ),
    writes=False,
)
WRITER = Role(
    "writer",
    "keeps the sessions of agents: session managers, recorders, storages, forks and rewinds; redacts messages",
    _needed(
        _WRITING,
        "HSET HSETNX PTTL UNLINK",
        READER,
    ),
)
CONSUMER = Role(
    "consumer",
    "follows the feed in consumer groups, settles, parks and replays deliveries, trims the feed",
    _needed(
        _CONSUMING,
        "HDEL HSET XINFO|GROUPS XPENDING XREADGROUP",
        READER,
    ),
)
ERASER = Role(
    "eraser",
    "erases single events, deletes whole sessions, holds, releases and sweeps them, erases persons",
    _needed(
        (APPEND, ERASE_STEP, DELETE, HOLD, STORAGE_DELETE, SUBJECT_GONE, SUBJECTS, TTL, TOMBSTONE_SET),
        "HDEL PTTL UNLINK",
        READER,
    ),
)
ADMIN = Role(
    "admin",
    "all of these, and asks the server how it is set up",
    _needed((), "ACL|DRYRUN ACL|WHOAMI CONFIG|GET INFO TIME WAIT", READER, WRITER, CONSUMER, ERASER),
)
ROLES = (READER, WRITER, CONSUMER, ERASER, ADMIN)
"""From the one that may do the least."""

OPTIONAL = {
    "TIME": "ages and relative times (`-5m`) by the server's clock; without it by that of this machine",
    "INFO": "how the server persists and evicts; without it only its kind and version are known (`HELLO`)",
    "CONFIG|GET": "the rest of what `doctor` looks at",
    "ACL|WHOAMI ACL|DRYRUN": "what `doctor` says of permissions without trying them",
    "CLIENT|SETNAME CLIENT|SETINFO": "the name in `CLIENT LIST`",
    "CLIENT|ID CLIENT|UNBLOCK": "a new tail of a process begins at once, not within a second",
    "SELECT": "a database other than 0",
    "WAIT WAITAOF": "`durability` other than `memory`",
    "CLUSTER|SLOTS COMMAND ASKING": "a cluster: needed by the driver",
    "READONLY": "a cluster client with `read_from_replicas=True`, which the log does not make use of",
}
"""What needs to be allowed only where it is made use of; and what is not kept without it."""
