"""The scripts that run inside the server, and how they are called.

A script is named by its SHA-1 and loaded when the server does not know it: the server's script cache is lost at a
restart, a failover and `SCRIPT FLUSH`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from hashlib import sha1
from typing import Any

from valkey.exceptions import NoScriptError, ResponseError

from ..server.border import Client
from ..server.pinned_connection import PinnedConnection
from .assembly import assemble

Argument = bytes | str | int


class Script:
    """A Lua script of this package, assembled when it is needed first.

    Args:
        name: The file `lua/<name>.lua`. It begins with `#!lua flags=allow-oom` where it is to run on a server that has
            reached `maxmemory`, too: what it writes is little, and lets memory be freed. Others are refused there, at
            the first write that may need some.
        reads_only: Whether it only reads: then a user who may not write can run it. The server holds it to that.
    """

    def __init__(self, name: str, *, reads_only: bool = False) -> None:
        self._name, self.reads_only = name, reads_only
        self._by_sha, self._by_source = ("EVALSHA_RO", "EVAL_RO") if reads_only else ("EVALSHA", "EVAL")

    @cached_property
    def source(self) -> bytes:
        """Its text."""
        return assemble(self._name).encode()

    @cached_property
    def sha(self) -> str:
        """By which the server knows it."""
        return sha1(self.source).hexdigest()

    def __call__(
        self, client: Client, keys: Sequence[str | bytes], arguments: Sequence[Argument], *, raw: bool = False
    ) -> Any:
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
            return client.execute_command(self._by_sha, self.sha, *command, **options)
        except NoScriptError:
            return client.execute_command(self._by_source, self.source, *command, **options)

    def many(self, client: Client, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """Run it on several sets of keys in one round trip; replies are left as bytes.

        Raises:
            ValkeyError: The first error any of them met.
        """
        replies = self.each(client, calls)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def each(self, client: Client, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """See `many`; an error that the server answers stands in place of the reply."""
        if len(calls) == 1:
            return [self._one(client, *calls[0])]
        pipeline = client.pipeline(transaction=False)
        for keys, arguments in calls:
            pipeline.execute_command(self._by_sha, self.sha, len(keys), *keys, *arguments, NEVER_DECODE=True)
        replies = pipeline.execute(raise_on_error=False)
        for at, reply in enumerate(replies):
            if isinstance(reply, NoScriptError):
                replies[at] = self._one(client, *calls[at])
        return list(replies)

    def _one(self, client: Client, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        try:
            return self(client, keys, arguments, raw=True)
        except ResponseError as error:
            return error

    def over(self, line: PinnedConnection, keys: tuple[str, ...], arguments: Sequence[bytes]) -> Any:
        """Run it over a line if that is free, else as ever.

        Returns:
            The reply, as bytes in the first case.
        """
        count = 3 + len(keys) + len(arguments)
        try:
            reply = line.exchange(_packed(count, _start_of_call(self.sha, keys), arguments))
        except NoScriptError:
            reply = line.exchange(_packed(count, _bulks([b"EVAL", self.source, *_names(keys)]), arguments))
        return self(line.client, keys, arguments) if reply is None else reply

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


def _packed(count: int, start: bytes, arguments: Sequence[bytes]) -> bytes:
    """A command of so many parts as it goes over the wire (RESP)."""
    return b"*%d\r\n%b%b" % (count, start, _bulks(arguments))


_SIZES = [b"$%d\r\n" % size for size in range(2048)]
"""Most arguments are short, and laying out a number takes longer than looking it up."""


def _bulks(texts: Sequence[bytes]) -> bytes:
    parts: list[bytes] = []
    for text in texts:
        size = len(text)
        parts += (_SIZES[size] if size < len(_SIZES) else b"$%d\r\n" % size, text, b"\r\n")
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _start_of_call(sha: str, keys: tuple[str, ...]) -> bytes:
    """What is the same for every call of a session is laid out once."""
    return _bulks([b"EVALSHA", sha.encode(), *_names(keys)])


def _names(keys: Sequence[str]) -> list[bytes]:
    return [b"%d" % len(keys), *(key.encode() for key in keys)]


APPEND = Script("session/append")
DELETE = Script("session/delete")
ERASE_STEP = Script("session/erase_step")
FEED_TRIM = Script("group/trim")
FORK = Script("session/fork")
FORK_COPY = Script("session/fork_copy")
FORK_NOTE = Script("session/fork_note")
GROUP_COUNT = Script("group/count")
GROUP_DELETE = Script("group/delete")
GROUP_TAKE = Script("group/fetch")
GROUP_GAP = Script("group/gap")
GROUP_HEARTBEAT = Script("group/heartbeat")
GROUP_LEAVE = Script("group/leave")
GROUP_PARKED = Script("group/parked")
GROUP_SETTLE = Script("group/settle")
GROUP_STATUS = Script("group/status", reads_only=True)
GROUP_WORK = Script("group/work")
IDS = Script("session/ids")
LIFE = Script("session/life", reads_only=True)
LIVE = Script("session/live")
LOAD = Script("session/load", reads_only=True)
LOCATE = Script("session/locate", reads_only=True)
ONCE = Script("session/once")
OUTCOME = Script("session/outcome")
SAVE = Script("session/save")
STANDING = Script("session/standing", reads_only=True)
STORAGE_DELETE = Script("storage/delete")
STORAGE_WRITE = Script("storage/write")
TOUCH = Script("session/touch")
TOMBSTONE_SET = Script("session/tombstone_set")
