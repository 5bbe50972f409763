"""The doorway: all that is sent to the server on behalf of a namespace goes through here.

Who has a `Store` needs no client, no time-outs and no errors of a driver. It finds the node that holds a key, waits out
what time may cure, makes the driver's errors ours, and leaves replies as bytes. Everything sent through it must be
harmless to repeat, see `with_retries`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias, TypeVar

from valkey import ValkeyCluster
from valkey.exceptions import NoScriptError

from ..errors import SessionLogError, UnknownOutcomeError
from ..keys import Keyspace
from .blocking_connection import BlockingConnection
from .checks import ServerReport, check, inspect, inspect_all
from .durability import MEMORY, Durability
from .errors import as_ours, attempted, is_already_there, raised, told_apart, with_retries
from .pinned_connection import PinnedConnection
from .routing import Client, connection_to, node_of, options_of, primaries
from .script import Argument, Call, LuaScript, additions, packed

T = TypeVar("T")
ScriptCall: TypeAlias = "tuple[LuaScript, Sequence[str | bytes], Sequence[Argument]]"
"""A script, its keys and its arguments."""
Command: TypeAlias = "Sequence[Argument] | ScriptCall"

_WAITED_FOR = (b"landed", b"stand")
"""How lists begin that tell of what is in the log, or was deleted from it."""
_PIECE = 100
"""How many entries of a stream are sent at once."""
_LONGEST_BLOCK = 0.5
"""For how many seconds a read of a client waits: blocked readers of a cluster learn late that a slot has moved."""


class Store:
    """One namespace on one server; share it between threads.

    Args:
        client: Any sync valkey-py client.
        keyspace: How the namespace is laid out.
        retry_for: For how many seconds a server that is away is waited for.
        durability: What `run_and_wait` and `run_pinned` wait for.

    Attributes:
        client: The same, for those who hand it on.
        keyspace: The same.
        retry_for: The same.
        durability: The same.
        is_cluster: Whether its keys are spread over several servers.
    """

    def __init__(
        self, client: Client, keyspace: Keyspace, retry_for: float = 10.0, durability: Durability = MEMORY
    ) -> None:
        self.client, self.keyspace, self.retry_for, self.durability = client, keyspace, retry_for, durability
        self.is_cluster = isinstance(client, ValkeyCluster)
        self._within: float | None = None
        self._pinned = PinnedConnection(client)

    def with_retry_for(self, seconds: float, within: float | None = None) -> Store:
        """The same namespace, for those who wait for another time.

        Args:
            seconds: For how long a server that is away is waited for; 0 is one attempt.
            within: For how many seconds that one attempt may take in any case, see `with_retries`.
        """
        store = object.__new__(Store)
        vars(store).update(vars(self))
        store.retry_for, store._within = seconds, within
        return store

    def retrying(self, call: Callable[[], T]) -> T:
        """What belongs together and is repeated as a whole."""
        return with_retries(call, self.retry_for, self._within)

    def command(self, *command: Argument, at: str = "") -> Any:
        """Send a command about one key.

        Args:
            *command: Its name, the key and the rest. With its name as bytes the driver leaves the reply as the server
                lays it out; with text it lays it out anew, which is slower.
            at: The key, where that stands elsewhere, or nowhere.
        """
        return with_retries(partial(self._send, command, at), self.retry_for, self._within)

    def fields(self, key: str, *names: str) -> Sequence[bytes | None]:
        """Fields of a hash as they stand there; None for each that does not."""
        found: Sequence[bytes | None] = self.command("HMGET", key, *names)
        return found

    def _send(self, command: Sequence[Argument], at: str) -> Any:
        if self.is_cluster and type(command[0]) is bytes:
            # A cluster client finds no node for it.
            with connection_to(self.client, at or str(command[1])) as node:
                return node.execute_command(*command, NEVER_DECODE=True)
        return self.client.execute_command(*command, NEVER_DECODE=True)

    def pipeline(self, commands: Sequence[Sequence[Argument]], *, is_lenient: bool = False) -> list[Any]:
        """Send commands in one round trip, wherever their keys are; in the slot of the first if its name is bytes.

        Args:
            commands: See `command`.
            is_lenient: In place of a reply about a key of another type stands that error.
        """
        if not commands:
            return []
        return with_retries(partial(self._send_all, commands, is_lenient), self.retry_for, self._within)

    def _send_all(self, commands: Sequence[Sequence[Argument]], is_lenient: bool) -> list[Any]:
        name, key = commands[0][:2]
        if self.is_cluster and type(name) is bytes:
            with connection_to(self.client, str(key)) as node:
                return _piped(node, commands, is_lenient)
        return _piped(self.client, commands, is_lenient)

    def overlap(self, commands: Sequence[Command], replies: list[Any], meanwhile: Callable[[], object]) -> None:
        """Send commands in one round trip and one attempt, and do something while the server is busy with them.

        Args:
            commands: See `command`, names as bytes; or a script, its keys and its arguments. Not for a cluster.
            replies: Takes the replies, also those that come before the connection is lost; an error of the server's
                stands there as ours.
            meanwhile: What is done once they are sent; before, where the client's connections must not be bypassed.
        """
        told = [packed(_spelled(command)) for command in commands]
        try:
            with_retries(partial(self._overlap, told, commands, replies, meanwhile), 0, self._within)
        finally:
            for place, reply in enumerate(replies):
                if isinstance(reply, Exception):
                    replies[place] = self._answered(reply, commands[place])

    def _overlap(
        self,
        told: Sequence[bytes],
        commands: Sequence[Command],
        replies: list[Any],
        meanwhile: Callable[[], object],
    ) -> None:
        if not self._pinned.overlap(b"".join(told), len(told), replies, meanwhile):
            meanwhile()
            replies += _replies(self.client, [_spelled(command) for command in commands])

    def _answered(self, error: Exception, command: Command) -> Any:
        """What a script answers that the server did not know any more, else the error as ours."""
        if not isinstance(error, NoScriptError):
            return as_ours(error)
        script, keys, arguments = command
        try:
            return self.run(script, keys, arguments)  # type: ignore[arg-type]
        except SessionLogError as error:
            return error

    def extend(
        self, stream: str, entries: Sequence[Sequence[Any]], expire_ms: int, sent: Callable[[Sequence[Any]], object]
    ) -> bool:
        """Add entries to a stream that is there, under their ids and as they stand; those it has are passed over.

        Args:
            stream: Its key.
            entries: Ids, each with field names and values in turn.
            expire_ms: For how many milliseconds the stream outlives this call.
            sent: Told of some after the other that they are on their way; what it does is done while the server is
                busy with them. Of those that are sent again it is told again.

        Returns:
            Whether there is such a stream.
        """
        send = partial(self._add, stream.encode(), entries, b"%d" % expire_ms, sent)
        replies = with_retries(send, self.retry_for, self._within)
        return None not in replies and replies[-1] == 1

    def _add(
        self, key: bytes, entries: Sequence[Sequence[Any]], expire_ms: bytes, sent: Callable[[Sequence[Any]], object]
    ) -> list[Any]:
        expire = (b"PEXPIRE", key, expire_ms)
        pieces = [entries[start : start + _PIECE] for start in range(0, len(entries), _PIECE)]

        def calls() -> Iterator[bytes]:
            for piece in pieces:
                yield additions(key, piece)
                sent(piece)
            yield packed(expire)

        replies = self._pinned.exchange_all(calls(), len(entries) + 1)
        if replies is None:
            sent(entries)
            added = [("XADD", key, "NOMKSTREAM", id_, *fields) for id_, fields in entries]
            replies = _replies(self.client, [*added, ("PEXPIRE", *expire[1:])])
        return raised(reply for reply in replies if not is_already_there(reply))

    def scan(self, pattern: str, count: int) -> Iterator[list[bytes]]:
        """The keys that match a pattern, page by page; on every primary of a cluster."""
        for _, node in self.retrying(lambda: primaries(self.client)):
            cursor: Any = 0
            while True:
                command = (b"SCAN", cursor, "MATCH", pattern, "COUNT", count)
                cursor, keys = self.retrying(partial(node.execute_command, *command, NEVER_DECODE=True))
                yield keys
                if int(cursor) == 0:
                    break

    def run(self, script: LuaScript, keys: Sequence[str | bytes], arguments: Sequence[Argument] = ()) -> Any:
        """Run a script."""
        return with_retries(partial(script, self.client, keys, arguments), self.retry_for, self._within)

    def run_many(self, script: LuaScript, calls: Sequence[Call], *, is_lenient: bool = False) -> list[Any]:
        """Run a script on several sets of keys in one round trip.

        Args:
            script: The script.
            calls: Keys and arguments of each.
            is_lenient: In place of a reply about a key of another type stands that error.
        """
        apart = told_apart if is_lenient else raised
        return with_retries(lambda: apart(script.each(self.client, calls)), self.retry_for, self._within)

    def run_each(self, script: LuaScript, calls: Sequence[Call]) -> list[Any]:
        """The same; in place of a reply stands, as ours, whatever error the server answers."""
        replies = with_retries(partial(script.each, self.client, calls), self.retry_for, self._within)
        return [as_ours(reply) if isinstance(reply, Exception) else reply for reply in replies]

    def run_and_wait(
        self, script: LuaScript, keys: Sequence[str], arguments: Sequence[Argument], session_id: str
    ) -> Any:
        """Run a script that adds to a session, and wait for what it wrote, on the same connection.

        Raises:
            UnknownOutcomeError: When it has written, but less than was asked for is certain.
        """
        return with_retries(partial(self._wait, script, keys, arguments, session_id), self.retry_for, self._within)

    def run_pinned(
        self,
        script: LuaScript,
        keys: tuple[str, ...],
        arguments: Sequence[bytes],
        session_id: str,
        packed: bytes = b"",
    ) -> tuple[Any, bool]:
        """The same over the connection that is held for appends, where nothing is waited for.

        Args:
            script: The script.
            keys: Its keys.
            arguments: Its arguments.
            session_id: To which it adds.
            packed: See `LuaScript.pinned`.

        Returns:
            See `attempted`.
        """
        if self.durability.command:
            send = partial(self._wait, script, keys, arguments, session_id)
        else:
            send = partial(script.pinned, self._pinned, keys, arguments, packed)
        return attempted(send, self.retry_for, self._within)

    def _wait(self, script: LuaScript, keys: Sequence[str], arguments: Sequence[Argument], session_id: str) -> Any:
        if not self.durability.command:
            return script(self.client, keys, arguments)
        with connection_to(self.client, keys[0]) as node:
            reply, waited = script.followed_by(node, keys, arguments, self.durability.command)
        # A text tells of a batch that has landed, and a number of what is written for its own sake, see `eraser`.
        is_waited_for = reply[0] in _WAITED_FOR if isinstance(reply, list) else True
        if is_waited_for and (shortfall := self.durability.shortfall(waited)):
            raise UnknownOutcomeError(session_id, shortfall)
        return reply

    def release(self) -> None:
        """Hold no connection any more; the next append takes one again."""
        self._pinned.release()

    def node_of(self, key: str) -> str:
        """Which node of a cluster holds a key, as far as the client knows; empty where there are no others."""
        return node_of(self.client, key)

    @contextmanager
    def blocking_connection(self, key: str) -> Iterator[BlockingConnection]:
        """A connection to the server that holds a key, for reads that block."""
        with connection_to(self.client, key) as node, BlockingConnection(node) as connection:
            yield connection

    @property
    def longest_block(self) -> float:
        """For how many seconds a read may wait, which must be less than the client waits for any reply."""
        timeout = options_of(self.client).get("socket_timeout")
        return min(_LONGEST_BLOCK, max(0.01, timeout / 2)) if timeout else _LONGEST_BLOCK

    @property
    def max_connections(self) -> int | None:
        """How many connections the client may have; None where it does not tell."""
        most: int | None = options_of(self.client).get("max_connections")
        return most

    def check(self, *, allow_eviction: bool = False) -> ServerReport:
        """See `checks.check`."""
        return self.retrying(lambda: check(self.client, allow_eviction))

    def report(self, roles: Mapping[str, tuple[str, Sequence[str]]]) -> ServerReport:
        """See `checks.inspect`."""
        return self.retrying(lambda: inspect(self.client, roles))

    def reports(self) -> list[ServerReport]:
        """What every primary says about itself."""
        return self.retrying(lambda: inspect_all(self.client))


def _spelled(command: Command) -> Sequence[Argument]:
    if isinstance(command[0], LuaScript):
        script, keys, arguments = command
        return script.call(keys, arguments)  # type: ignore[union-attr, arg-type]
    return command  # type: ignore[return-value]


def _piped(client: Client, commands: Sequence[Sequence[Argument]], is_lenient: bool) -> list[Any]:
    replies = _replies(client, commands)
    return told_apart(replies) if is_lenient else raised(replies)


def _replies(client: Client, commands: Sequence[Sequence[Argument]]) -> list[Any]:
    """The replies to several commands; in place of one stands the error that the server answered."""
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command, NEVER_DECODE=True)
    return list(pipeline.execute(raise_on_error=False))
