"""Connections held for appends, which every message of every agent waits for.

`execute_command` takes a connection out of the pool, looks whether it is still good, wraps it in retries and puts it
back, with every command. A pinned connection does so once for a burst of them. It is only for a client of which nobody
could tell the difference: an ordinary `valkey.Valkey` with an ordinary pool, not traced, with no retries of its own.
Any other is called as ever. See docs/adr/0012.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary, ref

import valkey
from valkey.exceptions import ConnectionError, ReadOnlyError, ResponseError

from .routing import Client
from .timed import closed_meanwhile, driver_class

# valkey-py calls itself typed, but much of it is not.
_driver: Any = valkey
_BURST = 1.0
"""Seconds after which the pool shall look at the connection again: it may have been dropped meanwhile."""
_MOST_IDLE = 64
"""So many of one pool wait for the next append at most; what more appends at the same time need goes back at once."""
_POOL_LIMIT = 1000
"""A pool of fewer connections has none to spare."""
_CONNECTIONS = (_driver.Connection, _driver.SSLConnection, _driver.UnixDomainSocketConnection)
_CHANGES_CALLS = ("retry", "retry_on_timeout", "retry_on_error", "command_packer", "cache_enabled", "client_cache")


class PinnedConnection:
    """Connections of a client's pool that are held for appends; all who pin those of one pool share them.

    One caller at a time has a connection: so there are as many as appends at the same time, and so many, up to a limit,
    are held until they have had nothing to do for a while.

    Args:
        client: Whose pool. Of one that must not be bypassed none is pinned: nothing is ever exchanged.

    Attributes:
        client: The same.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._pool = _ordinary_pool(client)
        self._held = None if self._pool is None else _held_of(self._pool)

    def exchange(self, packed: bytes) -> Any:
        """Send a command and return its reply, undecoded.

        Args:
            packed: The command as it goes over the wire.

        Returns:
            The reply; None when no connection can be had so, and nothing was sent.
        """
        held = self._held
        if held is None or not _is_untouched(self.client, self._pool):
            return None
        connection, now = held.take()
        try:
            return connection.ask(packed, now)
        finally:
            held.put_back(connection)

    def exchange_all(self, packed: Iterable[bytes], count: int) -> list[Any] | None:
        """The same for several commands; in place of a reply stands the error that the server answered.

        Args:
            packed: The commands as they go over the wire, in pieces, each of which is sent when it is there.
            count: How many they are.
        """
        held = self._held
        if held is None or not _is_untouched(self.client, self._pool):
            return None
        connection, now = held.take()
        try:
            return connection.ask_all(packed, count, now)
        finally:
            held.put_back(connection)

    def overlap(self, packed: bytes, count: int, replies: list[Any], meanwhile: Callable[[], object]) -> bool:
        """The same, and do something while the server is busy with them.

        Args:
            packed: The commands as they go over the wire.
            count: How many they are.
            replies: Takes the replies, also those that come before the connection is lost.
            meanwhile: What is done once they are sent.

        Returns:
            False when no connection can be had so: nothing was sent, and nothing done.
        """
        held = self._held
        if held is None or not _is_untouched(self.client, self._pool):
            return False
        connection, now = held.take()
        try:
            connection.ask_meanwhile(packed, count, replies, meanwhile, now)
        finally:
            held.put_back(connection)
        return True

    def release(self) -> None:
        """Give the connections back to the pool that nobody is using; the next exchange takes one again."""
        if self._held is not None:
            self._held.give_back()


class _Held:
    """The connections of one pool that nobody is using; the one that was used last is used next.

    No lock is needed, as each operation of a list happens as a whole: who has popped a connection is alone with it.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = ref(pool)
        self._idle: list[_Connection] = []
        self._look_again = 0.0

    def take(self) -> tuple[_Connection, float]:
        """One for this caller alone, and what the monotonic clock says."""
        now = time.monotonic()
        if now > self._look_again:
            self._look_again = now + _BURST
            self._give_back_unused(now)
        try:
            return self._idle.pop(), now
        except IndexError:
            return _Connection(self._pool), now

    def put_back(self, connection: _Connection) -> None:
        """The caller has done with it."""
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.give_back()

    def give_back(self) -> None:
        """Give back all that nobody is using."""
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().give_back()

    def _give_back_unused(self, now: float) -> None:
        """Those at the beginning, which appends at the same time needed once; one stays for the next."""
        while len(self._idle) > 1 and self._idle[0].good_until < now:
            with suppress(IndexError):
                self._idle.pop(0).give_back()


class _Connection:
    """A connection taken out of the pool, for one caller at a time.

    Attributes:
        good_until: When the pool shall look at it before it is used again, on the monotonic clock.
    """

    def __init__(self, pool: ref[Any]) -> None:
        self._pool = pool
        self._connection: Any = None
        self._process = 0
        self.good_until = 0.0

    def ask(self, packed: bytes, now: float) -> Any:
        """What `send_packed_command` and `read_response` do for a command that is bytes, without what else they can."""
        if now > self.good_until or self._process != os.getpid():
            self._take()
        self.good_until = now + _BURST
        connection = self._connection
        try:
            if (sock := connection._sock) is None:
                # Somebody has disconnected the pool.
                connection.send_packed_command((packed,))
            else:
                connection.keep_time()
                sock.sendall(packed)
            reply = connection._parser.read_response(disable_decoding=True)
            if isinstance(reply, ResponseError):
                raise reply
        except BaseException as error:
            self._explain(error)
            raise
        return reply

    def ask_all(self, packed: Iterable[bytes], count: int, now: float) -> list[Any]:
        """The replies to several commands, errors among them, but for that of a replica."""
        replies = list[Any]()
        self._send(packed, now)
        self._read(count, replies)
        return replies

    def ask_meanwhile(
        self, packed: bytes, count: int, replies: list[Any], meanwhile: Callable[[], object], now: float
    ) -> None:
        """The same, and something is done before they are read."""
        self._send((packed,), now)
        try:
            meanwhile()
        except BaseException:
            self._drop()
            raise
        self._read(count, replies)

    def _send(self, packed: Iterable[bytes], now: float) -> None:
        if now > self.good_until or self._process != os.getpid():
            self._take()
        self.good_until = now + _BURST
        with self._explained():
            self._connection.send_packed_command(packed, check_health=False)

    def _read(self, count: int, replies: list[Any]) -> None:
        with self._explained():
            read = self._connection._parser.read_response
            # What came before the connection is lost is there all the same.
            replies.extend(read(disable_decoding=True) for _ in range(count))
            for reply in replies:
                if isinstance(reply, ReadOnlyError):
                    raise reply

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._explain(error)
            raise

    def _explain(self, error: BaseException) -> None:
        """See to it that the next caller has a connection that is good.

        Raises:
            ConnectionError: From the error, where it is what a connection that is closed here or there brings.
        """
        if not isinstance(error, ResponseError) or isinstance(error, ReadOnlyError):
            self._drop()
        if isinstance(error, ReadOnlyError):
            # A replica answers: new connections may lead to the primary.
            pool: Any = self._pool()
            pool.disconnect(inuse_connections=False)
        if isinstance(error, OSError) or closed_meanwhile(error):
            raise ConnectionError(f"{type(error).__name__}: {error}") from error

    def _drop(self) -> None:
        """Connect anew: a reply that is still to come would be taken for that of the next command."""
        self.good_until = 0.0
        self._connection.disconnect()

    def _take(self) -> None:
        """Have the pool look at the connection, or find another; a fork leaves the parent's to the parent."""
        self.give_back()
        pool: Any = self._pool()
        self._connection, self._process = pool.get_connection("EVALSHA"), os.getpid()

    def give_back(self) -> None:
        pool: Any = self._pool()
        connection, self._connection, self.good_until = self._connection, None, 0.0
        if connection is not None and self._process == os.getpid():
            pool.release(connection)


_all: WeakKeyDictionary[Any, _Held] = WeakKeyDictionary()
_all_lock = Lock()


def _held_of(pool: Any) -> _Held:
    with _all_lock:
        return _all.setdefault(pool, _Held(pool))


def _ordinary_pool(client: Any) -> Any:
    """The pool of a client that does nothing of its own when a command is sent; else None."""
    pool: Any = getattr(client, "connection_pool", None)
    if type(client) is not valkey.Valkey or type(pool) is not _driver.ConnectionPool or client.connection is not None:
        return None
    options = pool.connection_kwargs
    is_ordinary = (
        driver_class(pool.connection_class) in _CONNECTIONS
        and pool.max_connections >= _POOL_LIMIT
        and not any(map(options.get, _CHANGES_CALLS))
        and options.get("encoding", "utf-8").lower() in ("utf-8", "utf8")
    )
    return pool if is_ordinary else None


def _is_untouched(client: Any, pool: Any) -> bool:
    """Whether `execute_command` is valkey-py's own: tracing and tests put theirs in its place, at any time."""
    execute = valkey.Valkey.execute_command
    return (
        type(execute) is FunctionType
        and execute.__globals__ is _driver.client.__dict__
        and "execute_command" not in client.__dict__
        and client.connection_pool is pool
    )
