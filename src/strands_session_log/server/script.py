"""A script that runs inside the server, and how it is called.

It is named by its SHA-1, and told to the server when that does not know it: the server's script cache is lost at a
restart, a failover and `SCRIPT FLUSH`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from hashlib import sha1
from itertools import chain
from typing import Any, TypeAlias

from valkey.exceptions import NoScriptError, ResponseError

from .pinned_connection import PinnedConnection
from .routing import Client

Argument: TypeAlias = "bytes | str | int"
Call: TypeAlias = "tuple[Sequence[str | bytes], Sequence[Argument]]"
"""Keys and arguments."""


class LuaScript:
    """A script; its replies are bytes, whatever the client does with those of other commands.

    Args:
        assemble: Makes its text, when that is needed first.
        reads_only: Whether it only reads: then a user who may not write can run it. The server holds it to that.
    """

    def __init__(self, assemble: Callable[[], str], *, reads_only: bool = False) -> None:
        self._assemble, self.reads_only = assemble, reads_only
        self._by_sha, self._by_source = ("EVALSHA_RO", "EVAL_RO") if reads_only else ("EVALSHA", "EVAL")

    @cached_property
    def source(self) -> bytes:
        """Its text."""
        return self._assemble().encode()

    @cached_property
    def sha(self) -> str:
        """By which the server knows it."""
        return sha1(self.source).hexdigest()

    def __call__(self, client: Client, keys: Sequence[str | bytes], arguments: Sequence[Argument]) -> Any:
        """Run it: one round trip, two when the server has to be told the source first."""
        command = (len(keys), *keys, *arguments)
        try:
            return client.execute_command(self._by_sha, self.sha, *command, NEVER_DECODE=True)
        except NoScriptError:
            return client.execute_command(self._by_source, self.source, *command, NEVER_DECODE=True)

    def each(self, client: Client, calls: Sequence[Call]) -> list[Any]:
        """Run it on several sets of keys in one round trip; an error that the server answers is in a reply's place."""
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

    def call(self, keys: Sequence[str | bytes], arguments: Sequence[Argument]) -> list[Argument]:
        """The command that runs it, where the server knows it."""
        return [self._by_sha.encode(), self.sha, len(keys), *keys, *arguments]

    def _one(self, client: Client, keys: Sequence[str | bytes], arguments: Sequence[Argument]) -> Any:
        try:
            return self(client, keys, arguments)
        except ResponseError as error:
            return error

    def pinned(
        self, pinned: PinnedConnection, keys: tuple[str, ...], arguments: Sequence[bytes], packed: bytes = b""
    ) -> Any:
        """Run it over a pinned connection if that is free, else as ever.

        Args:
            pinned: The connection.
            keys: Its keys.
            arguments: Its arguments.
            packed: The call as it goes over the wire, if that was laid out already, see `template`.
        """
        try:
            reply = pinned.exchange(packed or self._packed(_start_of_call(self.sha, keys), keys, arguments))
        except NoScriptError:
            start = _bulks([b"EVAL", self.source, b"%d" % len(keys), *map(str.encode, keys)])
            reply = pinned.exchange(self._packed(start, keys, arguments))
        return self(pinned.client, keys, arguments) if reply is None else reply

    def _packed(self, start: bytes, keys: Sequence[str], arguments: Sequence[bytes]) -> bytes:
        return b"".join((b"*%d\r\n" % (3 + len(keys) + len(arguments)), start, _bulks(arguments)))

    def template(self, keys: tuple[str, ...], arguments: Sequence[bytes | int | None]) -> bytes:
        """A call as it goes over the wire, but for what differs from one to the next: that is to be put in with `%`.

        Args:
            keys: Its keys.
            arguments: Those that are always the same. Of another that is always as long how long it is: the text is put
                in; and None of any other: how long it is, and the text.
        """
        parts = [b"*%d\r\n" % (3 + len(keys) + len(arguments)), _start_of_call(self.sha, keys)]
        parts += [b"" if isinstance(told, int) or told is None else _bulks([told]) for told in arguments]
        texts = [part.replace(b"%", b"%%") for part in parts]
        for at, told in enumerate(arguments, 2):
            if told is None:
                texts[at] = b"$%d\r\n%b\r\n"
            elif isinstance(told, int):
                texts[at] = b"$%d\r\n%%b\r\n" % told
        return b"".join(texts)

    def followed_by(
        self, client: Client, keys: Sequence[str], arguments: Sequence[Argument], command: Sequence[Argument]
    ) -> tuple[Any, Any]:
        """Run it and then a command, on the same connection and in the same round trip.

        Returns:
            Both replies; the command's may be an error, the script's is raised if it is one.
        """
        replies = _pair(client, ("EVALSHA", self.sha, len(keys), *keys, *arguments), command)
        if isinstance(replies[0], NoScriptError):
            replies = _pair(client, ("EVAL", self.source, len(keys), *keys, *arguments), command)
        if isinstance(replies[0], Exception):
            raise replies[0]
        return replies[0], replies[1]


def _pair(client: Client, script: Sequence[Any], command: Sequence[Argument]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command(*script, NEVER_DECODE=True)
    pipeline.execute_command(*command)
    return list(pipeline.execute(raise_on_error=False))


_LOOKED_UP = 2048
_SIZES = [b"$%d\r\n" % size for size in range(_LOOKED_UP)]
"""Most arguments are short, and laying out a number takes longer than looking it up."""


def _bulks(texts: Sequence[bytes]) -> bytes:
    """Parts of a command as they go over the wire (RESP)."""
    try:
        return b"".join([_SIZES[len(text)] + text + b"\r\n" for text in texts])
    except IndexError:
        return b"".join(chain.from_iterable((b"$%d\r\n" % len(text), text, b"\r\n") for text in texts))


def packed(command: Sequence[Argument]) -> bytes:
    """A command as it goes over the wire."""
    parts = [part if type(part) is bytes else str(part).encode() for part in command]
    return b"*%d\r\n%b" % (len(parts), _bulks(parts))


def additions(stream: bytes, entries: Iterable[Sequence[Any]]) -> bytes:
    """Calls of `XADD` for entries as they stand elsewhere, as they go over the wire; what they share is there once."""
    # Joined, not formatted: laying out a number takes longer than looking its text up.
    parts = list[bytes]()
    for id_, fields in entries:
        start, names = _addition(stream, tuple(fields[::2]))
        parts += (start, _size(len(id_)), id_)
        for name, value in zip(names, fields[1::2], strict=True):
            size = len(value)
            parts += (name, _SIZES[size] if size < _LOOKED_UP else _size(size), value)
        parts.append(b"\r\n")
    return b"".join(parts)


@lru_cache(maxsize=64)
def _addition(stream: bytes, names: tuple[bytes, ...]) -> tuple[bytes, list[bytes]]:
    """Of a call, what stands before its id, and before each value the end of what comes before, and its name."""
    start = b"*%d\r\n%b" % (4 + 2 * len(names), _bulks([b"XADD", stream, b"NOMKSTREAM"]))
    return start, [b"\r\n" + _bulks([name]) for name in names]


def _size(size: int) -> bytes:
    return _SIZES[size] if size < _LOOKED_UP else b"$%d\r\n" % size


@lru_cache(maxsize=4096)
def _start_of_call(sha: str, keys: tuple[str, ...]) -> bytes:
    """What is the same for every call of a session is laid out once: that is half of what it takes."""
    return _bulks([b"EVALSHA", sha.encode(), b"%d" % len(keys), *map(str.encode, keys)])
