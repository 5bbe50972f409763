"""The scripts that run inside the server."""

from __future__ import annotations

from importlib.resources import files

from ..server import LuaScript


class Script(LuaScript):
    """A Lua script of this package."""

    def __init__(self, *names: str, ending: bytes = b"", reads_only: bool = False, allow_oom: bool = False) -> None:
        """Load the script files `<name>.lua` beside this module, each going on from the one before.

        Args:
            *names: The files.
            ending: What to do with what they define.
            reads_only: See the attribute; the server holds it to that.
            allow_oom: It runs on a server that has reached `maxmemory`, too: what it writes is little, and lets memory
                be freed. Others are refused there, at the first write that may need some.
        """
        body = b"".join(files(__name__).joinpath(f"{name}.lua").read_bytes() for name in names) + ending
        super().__init__(b"#!lua flags=allow-oom\n" + body if allow_oom else body, reads_only=reads_only)


_APPENDING = ("batch", "feed_append", "append")

APPEND = Script(*_APPENDING, ending=b"return append()")
DELETE = Script("batch", "feed_append", "error_texts", "delete", allow_oom=True)
ERASE_STEP = Script(*_APPENDING, "feed_usable", "error_texts", "erase_step", allow_oom=True)
FEED_TRIM = Script("feed_ids", "feed_trim", allow_oom=True)
FORK = Script(*_APPENDING, "feed_usable", "fork")
FORK_COPY = Script("fork_copy")
FORK_NOTE = Script("fork_note", allow_oom=True)
GROUP_COUNT = Script("feed_ids", "group_count", allow_oom=True)
GROUP_DELETE = Script("error_texts", "group_delete")
GROUP_GAP = Script("feed_ids", "group_gap", allow_oom=True)
GROUP_HEARTBEAT = Script("feed_ids", "group_heartbeat", allow_oom=True)
GROUP_LEAVE = Script("group_leave", allow_oom=True)
GROUP_MISSING = Script("feed_ids", "group_missing", allow_oom=True)
GROUP_PARKED = Script("feed_ids", "error_texts", "group_parked", allow_oom=True)
GROUP_RELEASE = Script("group_release")
GROUP_SETTLE = Script("feed_ids", "error_texts", "group_settle", allow_oom=True)
GROUP_SETTLE_GAP = Script("feed_ids", "group_settle_gap", allow_oom=True)
GROUP_STATUS = Script("feed_ids", "group_status", reads_only=True)
GROUP_TAKE = Script("feed_ids", "group_take", allow_oom=True)
GROUP_WORK = Script("feed_ids", "error_texts", "group_work", allow_oom=True)
IDS = Script("ids_trim", "ids")
LIFE = Script("batch", "life", reads_only=True)
LIVE = Script("batch", "live")
LOAD = Script("load", reads_only=True)
LOCATE = Script("locate", reads_only=True)
ONCE = Script(*_APPENDING, "ids_trim", "once")
OUTCOME = Script("batch", "outcome")
SAVE = Script("save")
STANDING = Script("standing", reads_only=True)
STORAGE_DELETE = Script("storage_delete")
STORAGE_WRITE = Script("storage_write")
TOUCH = Script("touch", allow_oom=True)
TOMBSTONE_SET = Script("tombstone_set", allow_oom=True)
