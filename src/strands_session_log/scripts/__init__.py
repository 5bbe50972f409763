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


APPEND = Script("append")
DELETE = Script("delete")
ERASE_STEP = Script("erase_step", "append")
FORK = Script("fork", "append")
FORK_COPY = Script("fork_copy")
FORK_NOTE = Script("fork_note")
LIVE = Script("live")
LOAD = Script("load")
LOCATE = Script("locate")
SAVE = Script("save")
STORAGE_DELETE = Script("storage_delete")
STORAGE_WRITE = Script("storage_write")
