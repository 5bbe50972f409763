"""The scripts that run inside the server, and how they are called.

A script is named by its SHA-1 and loaded when the server does not know it: the server's script cache is lost at a
restart, a failover and `SCRIPT FLUSH`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any

from valkey.exceptions import NoScriptError

from ..server.border import Client

Argument = bytes | str | int


class Script:
    """A Lua script of this package."""

    def __init__(self, *names: str) -> None:
        """Load the script file `<name>.lua` beside this module; of several files, each goes on from the one before."""
        self.source = b"".join(files(__name__).joinpath(f"{name}.lua").read_bytes() for name in names)
        self.sha = sha1(self.source).hexdigest()

    def __call__(self, client: Client, keys: Sequence[str], arguments: Sequence[Argument], *, raw: bool = False) -> Any:
        """Run it: one round trip, two when the server has to be told the source first.

        Args:
            client: Where.
            keys: Its keys.
            arguments: Its arguments.
            raw: Leave the reply as bytes even if the client decodes.
        """
        command = (len(keys), *keys, *arguments)
        options = {"NEVER_DECODE": True} if raw else {}
        try:
            return client.execute_command("EVALSHA", self.sha, *command, **options)
        except NoScriptError:
            return client.execute_command("EVAL", self.source, *command, **options)

    def add_to(self, pipeline: Any, keys: Sequence[str], arguments: Sequence[Argument]) -> None:
        """Let it run in a pipeline; whoever executes that has to look whether it was known (`is_unknown_script`)."""
        pipeline.execute_command("EVALSHA", self.sha, len(keys), *keys, *arguments, NEVER_DECODE=True)

    def many(self, client: Client, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """Run it on several sets of keys in one round trip; replies are left as bytes.

        Raises:
            ValkeyError: The first error any of them met.
        """
        if len(calls) == 1:
            return [self(client, *calls[0], raw=True)]
        pipeline = client.pipeline(transaction=False)
        for keys, arguments in calls:
            self.add_to(pipeline, keys, arguments)
        replies = pipeline.execute(raise_on_error=False)
        for at, reply in enumerate(replies):
            if is_unknown_script(reply):
                replies[at] = self(client, *calls[at], raw=True)
            elif isinstance(reply, Exception):
                raise reply
        return list(replies)

    def followed_by(
        self, client: Client, keys: Sequence[str], arguments: Sequence[Argument], command: Sequence[Argument]
    ) -> tuple[Any, Any]:
        """Run it and then a command, on the same connection and in the same round trip.

        Returns:
            Both replies; the command's may be an error, the script's is raised if it is one.
        """
        replies = self._pair(client, ("EVALSHA", self.sha, len(keys), *keys, *arguments), command)
        if isinstance(replies[0], NoScriptError):
            replies = self._pair(client, ("EVAL", self.source, len(keys), *keys, *arguments), command)
        if isinstance(replies[0], Exception):
            raise replies[0]
        return replies[0], replies[1]

    @staticmethod
    def _pair(client: Client, script: Sequence[Any], command: Sequence[Argument]) -> list[Any]:
        pipeline = client.pipeline(transaction=False)
        pipeline.execute_command(*script)
        pipeline.execute_command(*command)
        return list(pipeline.execute(raise_on_error=False))


def is_unknown_script(reply: object) -> bool:
    """Whether a reply says that the server does not know the script (any more)."""
    return isinstance(reply, NoScriptError)


APPEND = Script("append")
DELETE = Script("delete")
ERASE_STEP = Script("erase_step", "append")
FEED_TRIM = Script("feed_trim")
FORK = Script("fork", "append")
FORK_COPY = Script("fork_copy")
FORK_NOTE = Script("fork_note")
GROUP_MISSING = Script("group_missing")
GROUP_RELEASE = Script("group_release")
GROUP_SETTLE = Script("group_settle")
GROUP_STATUS = Script("group_status")
GROUP_TAKE = Script("group_take")
GROUP_WORK = Script("group_work")
LOAD = Script("load")
LOCATE = Script("locate")
SAVE = Script("save")
STORAGE_DELETE = Script("storage_delete")
STORAGE_WRITE = Script("storage_write")
