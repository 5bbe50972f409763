"""The scripts that run inside the server: `lua/<name>.lua`, each assembled when it is needed first."""

from __future__ import annotations

from functools import partial

from ..server import LuaScript
from .assembly import assemble


class Script(LuaScript):
    """A Lua script of this package.

    Args:
        name: The file `lua/<name>.lua`. It begins with `#!lua flags=allow-oom` where it is to run on a server that has
            reached `maxmemory`, too: what it writes is little, and lets memory be freed. Others are refused there, at
            the first write that may need some.
        reads_only: See `LuaScript`.
    """

    def __init__(self, name: str, *, reads_only: bool = False) -> None:
        super().__init__(partial(assemble, name), reads_only=reads_only)
        self._name = name


APPEND = Script("session/append")
APPEND_SEALED = Script("session/append_sealed")
DELETE = Script("session/delete")
ERASE_STEP = Script("session/erase_step")
FEED_TRIM = Script("group/trim")
FORK = Script("session/fork")
FORK_COPY = Script("session/fork_copy")
FORK_NOTE = Script("session/fork_note")
GROUP_COUNT = Script("group/count")
GROUP_DELETE = Script("group/delete")
GROUP_FETCH = Script("group/fetch")
GROUP_GAP = Script("group/gap")
GROUP_HEARTBEAT = Script("group/heartbeat")
GROUP_LEAVE = Script("group/leave")
GROUP_PARKED = Script("group/parked")
GROUP_SETTLE = Script("group/settle")
GROUP_STATUS = Script("group/status", reads_only=True)
GROUP_WORK = Script("group/work")
HOLD = Script("session/hold")
IDS = Script("session/ids")
IMPORT = Script("session/import")
LIFE = Script("session/life", reads_only=True)
LINKS = Script("session/links", reads_only=True)
LIVE = Script("session/live")
LOAD = Script("session/load", reads_only=True)
LOCATE = Script("session/locate", reads_only=True)
ONCE = Script("session/once")
OUTCOME = Script("session/outcome")
RECOUNT = Script("session/recount")
RUN = Script("session/run")
SAVE = Script("session/save")
STANDING = Script("session/standing", reads_only=True)
STORAGE_DELETE = Script("storage/delete")
STORAGE_WRITE = Script("storage/write")
SUBJECT_GONE = Script("session/subject_gone")
SUBJECTS = Script("session/subjects")
TTL = Script("session/ttl")
TOUCH = Script("session/touch")
TOMBSTONE_ADD = Script("session/tombstone_add")
TOMBSTONE_SET = Script("session/tombstone_set")
