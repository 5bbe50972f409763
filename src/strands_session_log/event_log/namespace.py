"""Opening a namespace: is this server fit to keep it, and how is it laid out?

Both are asked once for each connection pool and namespace; whoever makes a session manager per request pays nothing.
The partition count also stands in the first partition and in every one that has begun, so that a `config` that was lost
or changed is noticed when somebody connects. A process that goes on after the server lost its data (`FLUSHALL`, a
restored backup) notices when a partition's feed begins anew, see `Layout`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn
from weakref import WeakKeyDictionary

from ..errors import (
    ConfigChangedError,
    ForbiddenError,
    NamespaceMismatchError,
    NamespaceNotFoundError,
    SessionLogError,
    check_whole,
)
from ..keys import DEFAULT_PARTITIONS, FORMAT, MAX_PARTITIONS, Keyspace, config_key, first_layouts
from ..server import Client, Durability, ServerReport, Store, source_of, take
from .diagnosis import naming, parsed, whole

_CURE = (
    "restore it from a backup; if there is none, write what the namespace was made with: "
    f"HSET <key> format {FORMAT} partitions <count>, {DEFAULT_PARTITIONS} unless another was asked for"
)

logger = logging.getLogger(__name__)


class Namespace(NamedTuple):
    """A namespace and the server it is on.

    Attributes:
        keyspace: How it is laid out.
        server: What the server said about itself.
    """

    keyspace: Keyspace
    server: ServerReport


# By what outlives a client object and stands for its server.
_opened: WeakKeyDictionary[Any, dict[str, Namespace]] = WeakKeyDictionary()


def open_namespace(
    client: Client,
    namespace: str,
    partitions: int | None,
    retry_for: float,
    durability: Durability,
    allow_eviction: bool,
) -> Store:
    """Check client and server, and read the layout of a namespace or lay it out.

    Raises:
        InvalidSettingError: When it is no count of partitions.
        UnusableClientError: When no log can be kept on the client.
        UnsupportedServerError: When the server is too old, or cannot give what durability asks for.
        EvictionPolicyError: When it may delete sessions without a trace.
        NamespaceMismatchError: When it has another partition count than asked for, or another format.
        CorruptKeyError: When what the server says of the layout cannot be so.
    """
    if partitions is not None:
        check_whole("partitions", partitions, 1, MAX_PARTITIONS)
    take(client)
    known = _opened.setdefault(source_of(client) or client, {})
    opened = known.get(namespace)
    # Whoever opened it may have accepted eviction. Whoever comes now did not; but it may be cured meanwhile.
    if opened is None or (opened.server.evicts_anything and not allow_eviction):
        store = Store(client, Keyspace(namespace, partitions or DEFAULT_PARTITIONS), retry_for)
        server = store.check(allow_eviction=allow_eviction)
        with naming(store, {config_key(namespace): ("hash", _CURE)}):
            keyspace = _laid_out(store)
        opened = known[namespace] = Namespace(keyspace, server)
    if partitions not in (None, opened.keyspace.partitions):
        raise NamespaceMismatchError(namespace, "partitions", partitions, opened.keyspace.partitions)
    durability.check(opened.server)
    return Store(client, opened.keyspace, retry_for, durability)


class Layout:
    """How a namespace was laid out when this process opened it, for whoever finds that its data may have been lost.

    Args:
        store: See `EventLog`.

    Attributes:
        laid_out_anew: How many partitions it was found to have since, another number than it had; None as a rule.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._keyspace = store, store.keyspace
        self.laid_out_anew: int | None = None

    def refuse(self) -> NoReturn:
        """Let nobody append to partitions that nobody else would look for.

        Raises:
            NamespaceMismatchError: In any case.
        """
        namespace, partitions = self._keyspace
        raise NamespaceMismatchError(namespace, "partitions", partitions, self.laid_out_anew)

    def confirm(self, partition: int) -> None:
        """Write the layout again where it is lost, after a partition's feed began anew.

        Whoever appended must not hear of it: the events are written. A namespace that somebody has laid out in another
        way meanwhile is refused from the next append on.
        """
        namespace, partitions = self._keyspace
        try:
            found = _parsed(namespace, self._store.retrying(lambda: _written(self._store, partitions)))[1]
            if found == partitions:
                self._store.command("HSET", self._keyspace.layout(partition), "partitions", partitions)
        except SessionLogError as error:
            logger.warning("namespace=<%s>, error=<%s> | its layout could not be looked at", namespace, error)
            return
        if found != partitions:
            self.laid_out_anew = found
            logger.error("namespace=<%s>, partitions=<%d> | it was laid out anew with <%d>", *self._keyspace, found)


def _laid_out(store: Store) -> Keyspace:
    try:
        return store.retrying(lambda: _lay_out(store))
    except ForbiddenError as error:
        # The only thing that is written here, and only where nothing is.
        if "hsetnx" in error.reason.lower():
            raise NamespaceNotFoundError(store.keyspace.namespace) from error
        raise


def _lay_out(store: Store) -> Keyspace:
    """Read the layout; whoever finds none writes that of the store, unless somebody else is quicker."""
    namespace, wanted = store.keyspace
    found: Any = store.command("HMGET", config_key(namespace), "format", "partitions")
    is_lost = None in found
    begun = _begun(store, wanted) if is_lost else None
    if is_lost:
        # Perhaps while the partitions are still there.
        found = _written(store, begun or wanted)
    format_, count = _parsed(namespace, found)
    if format_ != FORMAT:
        raise NamespaceMismatchError(namespace, "format", FORMAT, format_)
    if not is_lost or count != wanted:
        begun = _begun(store, count)
    if begun not in (None, count):
        raise ConfigChangedError(config_key(namespace), count, begun)
    return Keyspace(namespace, count)


def _parsed(namespace: str, found: Sequence[Any]) -> tuple[int, int]:
    key = config_key(namespace)
    return parsed(key, "format", found[0], whole, _CURE), parsed(key, "partitions", found[1], _partitions, _CURE)


def _partitions(value: str) -> int:
    count = whole(value)
    if not 1 <= count <= MAX_PARTITIONS:
        raise ValueError(f"not between 1 and {MAX_PARTITIONS}")
    return count


def _written(store: Store, partitions: int) -> Sequence[Any]:
    """Write the layout unless there is one: format and partition count as they stand there."""
    namespace = store.keyspace.namespace
    key = config_key(namespace)
    layout = (("HSETNX", key, "format", FORMAT), ("HSETNX", key, "partitions", partitions))
    found: Sequence[Any] = store.pipeline([*layout, ("HMGET", key, "format", "partitions")])[-1]
    if _parsed(namespace, found)[1] == partitions:
        # Where whoever looks for a lost layout finds it, whatever the count is.
        store.command("HSETNX", Keyspace(namespace, partitions).layout(0), "partitions", partitions)
    return found


def _begun(store: Store, partitions: int) -> int | None:
    """The partition count that partitions which have begun were laid out with, one that differs if there is one.

    None where none has begun; what somebody else has put there tells nothing.
    """
    namespace, likely = store.keyspace.namespace, {partitions, DEFAULT_PARTITIONS}
    keys = {Keyspace(namespace, count).layout(number) for count in likely for number in range(count)}
    ask = [("HGET", key, "partitions") for key in sorted(keys.union(first_layouts(namespace)))]
    replies = store.pipeline(ask, is_lenient=True)
    found = {int(value) for value in replies if isinstance(value, bytes) and value.isdigit() and len(value) < 5}
    found = {count for count in found if 1 <= count <= MAX_PARTITIONS}
    return min(found - {partitions}, default=partitions if found else None)
