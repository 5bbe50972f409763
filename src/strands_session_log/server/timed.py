"""Connections that keep to the time of the call they serve. See docs/adr/0025.

A client's time-out is as long for the last attempt of a call as for the first, so a server that stands still would hold
a call for longer than it was to wait. `with_retries` notes when the call of this thread is to end; a connection
looks there before it connects, sends and reads, and waits no longer than that. Outside of such a call, and for whoever
else uses the client, it is the connection it was.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from weakref import ref

import valkey
from valkey import exceptions as driver

from . import tls

# valkey-py calls itself typed, but much of it is not.
_driver: Any = valkey
_TOLERANCE = 0.2
"""Seconds by which an operation may end later than it should; a call has half a second of grace."""
_LEAST = 0.01
"""Seconds an operation has in any case: what is there already can be read."""
_REPLIES = (driver.ResponseError, driver.BusyLoadingError, driver.AuthenticationError)
"""Errors the server answers with: it has not carried the command out."""
_CLOSED = (driver.ConnectionError, driver.InvalidResponse)
_CLOSED_HERE = "another thread closed the connection while it was in use"


class Timing:
    """The time of a call.

    Attributes:
        until: When it is to end, on the monotonic clock; None when only the client's own time-outs count.
        lost: Whether a command was sent to which no reply came, so that it may have been carried out.
        barred: Why no connection comes about, where no other attempt would cure it: the driver hides it behind errors
            of its own when it asks sentinels or the nodes of a cluster.
    """

    until: float | None = None
    lost = False
    barred: tls.HandshakeError | None = None


class _Here(threading.local):
    """What this thread does.

    Attributes:
        call: The call it serves, if it is one of ours.
        waits: Told of the error when a call begins to wait for the server; of whoever follows in this thread.
    """

    call: Timing | None = None
    waits: Callable[[Exception], object] | None = None


here = _Here()
_lock = threading.Lock()


def keep_time(client: Any) -> bool:
    """Let the connections of a client keep to the time of our calls.

    Returns:
        False when its connections are none of valkey-py's.
    """
    with _lock:
        kept = [_adopt(pool) for pool in _pools(client)]
        if isinstance(client, valkey.ValkeyCluster):
            _adopt_new_nodes(client.nodes_manager)
        return bool(kept) and all(kept)


@contextmanager
def answered_within(seconds: float) -> Iterator[None]:
    """For one of many exchanges of a call that has no end: let it end in time, where the client has no time-out."""
    call = here.call or Timing()
    before, call.until = call.until, time.monotonic() + seconds
    try:
        yield
    finally:
        call.until = before


def node_pool(extra: Mapping[str, Any], **options: Any) -> Any:
    """A pool for one node of a cluster, whose first connection keeps to the time of our calls already.

    Args:
        extra: Options of connections that the cluster client would drop.
        **options: What it has left.
    """
    pool = _driver.ConnectionPool(**{**options, **extra})
    _adopt(pool)
    return pool


def closed_meanwhile(error: BaseException) -> bool:
    """Whether a connection met an error because another thread closed it (`client.close()`) in the middle of its use.

    valkey-py then stumbles over its socket, or its parser's, which are None or closed from one line to the next.
    """
    if isinstance(error, AttributeError):
        return error.obj is None and bool(error.name)
    return isinstance(error, ValueError) and "closed" in str(error)


def driver_class(connection_class: Any) -> Any:
    """What valkey-py calls this kind of connection."""
    return getattr(connection_class, "driver_class", connection_class)


def _left(most: float | None = None) -> float | None:
    """How many seconds the call of this thread has left, or a time-out that is shorter; None when neither ends it."""
    call = here.call
    if call is None or call.until is None:
        return most
    left = max(_LEAST, call.until - time.monotonic())
    return left if most is None or left < most else most


class _Timed:
    """Mixed into a connection class of valkey-py; `_pool` is a weak reference to its pool."""

    _pool: Any
    _is_stale = False
    _kernel_bound: float | None = None
    _has_answered = False
    """Whether any connection of the pool ever had an answer."""

    def connect(self: Any) -> None:
        if self._is_stale:
            self.disconnect()
        elif self._sock is not None:
            return
        call = here.call
        lost = call is not None and call.lost
        try:
            self._kernel_bound = None
            super().connect()  # type: ignore[misc]
        finally:
            if call is not None:
                # Whatever was asked to set it up, nothing of the caller's has been sent.
                call.lost = lost

    def on_connect(self: Any) -> None:
        """Greet the server, as the driver does; the name that operators see is not worth being refused for."""
        name, self.client_name = self.client_name, None
        try:
            super().on_connect()  # type: ignore[misc]
        finally:
            self.client_name = name
        if name:
            self.send_command("CLIENT", "SETNAME", name, check_health=False)
            with suppress(driver.ResponseError):
                self.read_response()

    def disconnect(self: Any, *args: Any) -> None:
        self._is_stale = False
        super().disconnect(*args)  # type: ignore[misc]

    def send_packed_command(self: Any, command: Any, check_health: bool = True) -> None:
        if self._is_stale or self._sock is None:
            self.connect()
        try:
            self.keep_time()
            super().send_packed_command(command, check_health)  # type: ignore[misc]
        except BaseException as error:
            _note_loss()
            self._explain(error)
            raise

    def can_read(self: Any, timeout: float = 0) -> Any:
        try:
            return super().can_read(timeout)  # type: ignore[misc]
        except (AttributeError, ValueError) as error:
            self._explain(error)
            raise

    def keep_time(self: Any) -> None:
        """Before a command is sent: the replies that follow come at once, or in what is left now."""
        most, sock = self.socket_timeout, self._sock
        wanted = _left(most)
        if most is None and type(sock) is socket.socket:
            self._bound_by_kernel(wanted)
            return
        has = sock.gettimeout()
        if has != wanted and (has is None or wanted is None or abs(has - wanted) > _TOLERANCE):
            sock.settimeout(wanted)

    def _bound_by_kernel(self: Any, left: float | None) -> None:
        """Where the client has no time-out: with one, Python asks the kernel before each operation whether it may."""
        has = self._kernel_bound
        # That of one call after another is nearly the same.
        if left is not has and (left is None or has is None or abs(has - left) > _TOLERANCE):
            seconds = 0.0 if left is None else left
            if has is None:
                self._sock.settimeout(None)
            value = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self._sock.setsockopt(socket.SOL_SOCKET, option, value)
            self._kernel_bound = left

    def read_response(self: Any, disable_decoding: bool = False, **options: Any) -> Any:
        try:
            reply = super().read_response(disable_decoding, **options)  # type: ignore[misc]
        except driver.ReadOnlyError:
            self._leave_replica()
            raise
        except _REPLIES:
            type(self)._has_answered = True
            raise
        except BaseException as error:
            if isinstance(error.__context__, driver.ReadOnlyError) and here.call is not None:
                # A sentinel's connection hides that this was an answer.
                raise error.__context__ from None
            _note_loss()
            self._explain(error)
            raise
        if not self._has_answered:
            type(self)._has_answered = True
        return reply

    def _connect(self: Any) -> Any:
        kept = self.socket_connect_timeout, self.socket_timeout
        self.socket_connect_timeout, self.socket_timeout = _left(kept[0]), _left(kept[1])
        try:
            return super()._connect()  # type: ignore[misc]
        finally:
            self.socket_connect_timeout, self.socket_timeout = kept

    def _wrap_socket_with_ssl(self: Any, sock: Any) -> Any:
        if here.call is None:
            return self._wrap_plainly(sock)
        try:
            return tls.wrap(self, sock, self._wrap_plainly)
        except tls.HandshakeError as error:
            here.call.barred = error
            raise

    def _wrap_plainly(self: Any, sock: Any) -> Any:
        return super()._wrap_socket_with_ssl(sock)  # type: ignore[misc]

    def _explain(self: Any, error: BaseException) -> None:
        """Why the server closed the connection before it ever answered, where that can be found out.

        Raises:
            HandshakeError: When it can.
            ConnectionError: When it was this process that closed it.
        """
        if closed_meanwhile(error):
            raise driver.ConnectionError(_CLOSED_HERE) from error
        is_told = isinstance(error, tls.HandshakeError)
        if self._has_answered or here.call is None or is_told or not isinstance(error, _CLOSED):
            return
        if found := tls.reason_for_silence(self, error, _left()):
            here.call.barred = found
            raise found from error

    def _leave_replica(self: Any) -> None:
        """Behind its address another server may be the primary by now: all connections of the pool are made anew.

        This one only before the next command: replies of a pipeline may still come.
        """
        if here.call is not None:
            self._is_stale = True
            pool = self._pool()
            if type(pool) is _driver.ConnectionPool:
                pool.disconnect(inuse_connections=False)


def _note_loss() -> None:
    if (call := here.call) is not None:
        call.lost = True


def _pools(client: Any) -> Iterator[Any]:
    """The pools a client takes connections from, those to its sentinels among them."""
    if (pool := getattr(client, "connection_pool", None)) is not None:
        yield pool
        manager = getattr(getattr(pool, "proxy", None), "sentinel_manager", None)
        for sentinel in getattr(manager, "sentinels", ()):
            yield sentinel.connection_pool
    nodes = getattr(client, "nodes_manager", None)
    for table in ("nodes_cache", "startup_nodes"):
        for node in list(getattr(nodes, table, {}).values()):
            if node.valkey_connection is not None:
                yield node.valkey_connection.connection_pool


def _adopt(pool: Any) -> bool:
    kind = getattr(pool, "connection_class", None)
    if not isinstance(kind, type) or not issubclass(kind, _driver.connection.AbstractConnection):
        return False
    if driver_class(kind)._connect.__module__ != _driver.connection.__name__:
        # It has something else than a socket.
        return False
    if not issubclass(kind, _Timed):
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        ours = {"_pool": ref(pool), "driver_class": driver_class(kind)}
        pool.connection_class = timed = type(kind.__name__, (_Timed, kind), {**names, **ours})
        for connection in _made(pool):
            if type(connection) is kind:
                connection.__class__ = timed
    return True


def _made(pool: Any) -> Iterator[Any]:
    """The connections a pool has made so far."""
    for place in ("_available_connections", "_in_use_connections", "_connections"):
        yield from list(getattr(pool, place, ()))


def _adopt_new_nodes(manager: Any) -> None:
    """A cluster client makes a client for a node when it first needs it, and anew after every error."""
    if "create_valkey_node" in vars(manager):
        return
    create = manager.create_valkey_node

    def create_timed(*args: Any, **options: Any) -> Any:
        node = create(*args, **options)
        _adopt(node.connection_pool)
        return node

    manager.create_valkey_node = create_timed
