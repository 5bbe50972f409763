"""ValkeyStorage: Strands' storage protocol on the server of the log.

What Strands keeps as bytes under string keys (snapshots of agents, offloaded content, memory) can stand beside the
sessions then. It is no part of any session and of no event: storage forgets what is overwritten, the log does not.
"""

from __future__ import annotations

import asyncio
import builtins
import copy
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

try:
    import strands.storage.storage as protocol
    from strands.storage import Storage
    from strands.types.exceptions import StorageError
except ImportError as error:
    raise ImportError(
        "ValkeyStorage needs strands.storage, which this version of Strands does not have: "
        "pip install 'strands-agents>=1.48'",
        name="strands.storage",
    ) from error

from .codec.sealed import MAGIC, is_sealed
from .errors import EncodingError, check_log
from .event_log.diagnosis import naming
from .scripts import storage
from .session_log import SessionLog

if TYPE_CHECKING:
    from strands.storage.search import SearchStrategy, StorageSearchResult

T = TypeVar("T")

# Strands marks views with an object of its own, so that what is given one does not scope it once more.
_SCOPED = getattr(protocol, "_NAMESPACED", None)
# No UTF-8 text has this byte: it stands above everything that begins with a prefix.
_ABOVE = b"\xff"
_LISTING = (
    "zset",
    "restore it from a backup, or delete the key: what is stored stays, and is listed again once it is written",
)


class ValkeyStorage(Storage):
    """Keeps bytes under string keys in the namespace of a log, for whatever in Strands asks for a `Storage`.

    Keys follow the rules of Strands' own storages: runs of `/` count as one, those at the ends do not count, and
    backslashes and `..` segments are refused. A write or a delete is one script call and a read one command, all on
    one cluster slot; a listing is one round trip. No call runs on the event loop, and none belongs to one: an instance
    may be shared by threads and loops. A write that is cancelled is still finished, so that it cannot land after a
    later one. Where the log encrypts (`encryption`), so does this, with a key of the namespace; names of keys stay in
    the clear. What the log waits for before an append counts (`durability`) does not apply here.

    Args:
        log: Where to keep the bytes; its client may decode responses.
        search_strategy: What `write` feeds and `search` asks; a keyword scan over everything if left out.

    Raises:
        ImportError: On import, when the installed Strands has no `strands.storage`.
    """

    def __init__(
        self,
        log: SessionLog,
        *,
        search_strategy: SearchStrategy[ValkeyStorage] | None = None,
        subject: str | None = None,
    ) -> None:
        check_log(log)
        self._store, self._cipher = log._events.store, log._events.cipher
        self._subject = "" if subject is None else log.subjects.hash_of(subject)
        self._search_strategy = search_strategy
        self._prefix = ""

    async def write(self, key: str, data: bytes) -> None:
        """Store data under a key, in place of what was there.

        Args:
            key: Names the value.
            data: The bytes, empty ones included.

        Raises:
            StorageError: When the key cannot be one, or the data cannot be stored or indexed.
        """
        relative, content = _normalized_key(key), _content(key, data)
        name = self._prefix + relative
        await self._change(f"write {key!r}", storage.write, name, lambda: self._sealed(name, content))
        await self._index(relative, content)

    async def read(self, key: str) -> bytes | None:
        """Read what was stored last under a key; None when there is nothing.

        Args:
            key: Names the value.

        Raises:
            StorageError: When the key cannot be one, or the value cannot be read.
        """
        name = self._prefix + _normalized_key(key)
        return await self._ask(f"read {key!r}", lambda: self._value(name))

    async def delete(self, key: str) -> None:
        """Remove what is stored under a key, if anything is.

        Args:
            key: Names the value.

        Raises:
            StorageError: When the key cannot be one, or the value cannot be removed.
        """
        await self._change(f"delete {key!r}", storage.delete, self._prefix + _normalized_key(key))

    async def list(self, query: str = "") -> builtins.list[str]:
        """List the keys that begin with a prefix, in the order of their code points.

        Args:
            query: The prefix; an empty one matches every key.

        Raises:
            StorageError: When the prefix cannot be one, or the keys cannot be read.
        """
        prefix = self._prefix + _normalized_prefix(query)
        names = await self._ask(f"list keys with prefix {query!r}", lambda: self._names(prefix))
        return [name[len(self._prefix) :] for name in names]

    async def search(self, query: str) -> builtins.list[StorageSearchResult]:
        """Search what is stored, by the strategy given or by counting the query's words in it.

        Args:
            query: What to look for, in words.

        Returns:
            Every match with its score, best first.

        Raises:
            StorageError: When the keys cannot be read.
        """
        if self._search_strategy is not None:
            return await self._search_strategy.search(self, query)
        from strands.storage.search import KeywordSearchStrategy

        return await KeywordSearchStrategy().search(self, query)

    def namespace(self, prefix: str) -> ValkeyStorage:
        """The same storage seen from below a prefix: keys, listings and searches know nothing of what is outside.

        Args:
            prefix: What every key gets in front; an empty one changes nothing.

        Raises:
            StorageError: When the prefix cannot be one.
        """
        normalized = _normalized_prefix(prefix).rstrip("/")
        scoped = copy.copy(self)
        scoped._prefix = f"{self._prefix}{normalized}/" if normalized else self._prefix
        scoped._namespaced = _SCOPED  # type: ignore[attr-defined]
        return scoped

    def _sealed(self, name: str, content: bytes) -> bytes:
        if is_sealed(content) and not self._cipher.is_active:
            raise EncodingError("data", f"what begins with {MAGIC!r} cannot be told from what is encrypted")
        return self._cipher.seal_stored(self._store.keyspace.namespace, name, content)

    async def _change(self, what: str, script: Callable[..., None], name: str, *contents: Callable[[], bytes]) -> None:
        def change() -> None:
            content = [made() for made in contents]
            keys = self._store.keyspace.stored(name)
            with naming(self._store, {keys.listing: _LISTING}):
                script(self._store, keys, name, self._subject, *content)

        await _finish(self._ask(what, change))

    async def _ask(self, what: str, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except Exception as error:
            raise StorageError(f"Failed to {what}: {error}") from error

    def _value(self, name: str) -> bytes | None:
        key = self._store.keyspace.stored(name).value
        with naming(self._store, {key: ("string", "write it anew, or delete it")}):
            value: bytes | None = self._store.command("GET", key)
        return value and self._cipher.open_stored(self._store.keyspace.namespace, name, value)

    def _names(self, prefix: str) -> builtins.list[str]:
        """One round trip, whatever the number of partitions; UTF-8 sorts as its code points do."""
        keyspace = self._store.keyspace
        listings = [keyspace.storage(partition) for partition in range(keyspace.partitions)]
        with naming(self._store, dict.fromkeys(listings, _LISTING)):
            found = self._store.retrying(lambda: self._listed(listings, prefix.encode()))
        return sorted(name for name in map(_key_of, found) if name is not None)

    def _listed(self, listings: builtins.list[str], start: bytes) -> builtins.list[bytes]:
        commands = list[tuple[str | bytes, ...]]()
        for listing in listings:
            commands.append(("ZRANGE", listing, b"[" + start, b"(" + start + _ABOVE, "BYLEX"))
            commands += (("ZCOUNT", listing, "-inf", "(0"), ("ZCOUNT", listing, "(0", "+inf"))
        replies = self._store.pipeline(commands)
        found = list[bytes]()
        for listing, names, below, above in zip(listings, replies[::3], replies[1::3], replies[2::3], strict=True):
            # The server finds a range among equal scores only, and a listing's are 0: this one is not ours alone.
            found += self._picked(listing, start) if below or above else names
        return found

    def _picked(self, listing: str, start: bytes) -> builtins.list[bytes]:
        return [name for name in self._store.command("ZRANGE", listing, 0, -1) if name.startswith(start)]

    async def _index(self, key: str, data: bytes) -> None:
        if self._search_strategy is None:
            return
        try:
            await self._search_strategy.index(self, key, data)
        except Exception as error:
            raise StorageError(f"Wrote {key!r} but indexing it failed: {error}") from error


async def _finish(change: Coroutine[Any, Any, T]) -> T:
    """Await a change to its end even when the caller is cancelled: its thread could not be stopped anyway."""
    running = asyncio.ensure_future(change)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(StorageError):
            await asyncio.shield(running)
        raise


def _key_of(name: bytes) -> str | None:
    """What a listing says; None where it is not text, which no key is."""
    with suppress(UnicodeDecodeError):
        return name.decode()
    return None


def _content(key: str, data: bytes) -> bytes:
    """The bytes of now: the caller may go on changing a `bytearray`."""
    try:
        return bytes(memoryview(data))
    except TypeError as error:
        raise StorageError(f"Failed to write {key!r}: {error}") from error


def _normalized_key(key: str) -> str:
    normalized = _normalized("key", key).strip("/")
    if not normalized:
        raise StorageError(f"Invalid storage key {key!r}: it must not be empty")
    return normalized


def _normalized_prefix(prefix: str) -> str:
    return _normalized("prefix", prefix).lstrip("/")


def _normalized(kind: str, value: str) -> str:
    if "\\" in value:
        raise StorageError(f"Invalid storage {kind} {value!r}: backslashes are not allowed")
    if ".." in value.split("/"):
        raise StorageError(f"Invalid storage {kind} {value!r}: '..' path segments are not allowed")
    return re.sub("/+", "/", value)
