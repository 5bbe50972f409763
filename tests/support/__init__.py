"""Real servers to start and stop, and a proxy that spoils the network between them and a client."""

from support.cluster import Cluster
from support.keyspace import Keyspace
from support.proxy import FaultProxy
from support.servers import RedisServer, ServerUnavailable, ValkeyDebianServer, ValkeyliteServer
from support.waiting import wait_until

__all__ = [
    "Cluster",
    "FaultProxy",
    "Keyspace",
    "RedisServer",
    "ServerUnavailable",
    "ValkeyDebianServer",
    "ValkeyliteServer",
    "wait_until",
]
