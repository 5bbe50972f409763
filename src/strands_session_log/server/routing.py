"""Where a cluster client sends what: a log reads what was written, so it reads from primaries.

A client with `read_from_replicas=True` reads what may be old: a resume would go on from there. For as long as it serves
a call of ours it reads from primaries; for all else it is the client it was. And scripts that only read (`EVALSHA_RO`)
go to their keys' node at once; valkey-py would ask a server which keys they have (`COMMAND GETKEYS`), each time.
"""

from __future__ import annotations

from typing import Any

from .timed import here

_READ_ONLY_SCRIPTS = ("EVALSHA_RO", "EVAL_RO")


def steer(cluster: Any) -> None:
    """Let a cluster client route our commands so; those it collects in pipelines, too.

    Args:
        cluster: A `valkey.ValkeyCluster`.
    """
    _read_from_primaries(cluster.nodes_manager)
    _know_keys_of_scripts(cluster.commands_parser)


def _read_from_primaries(manager: Any) -> None:
    if "get_node_from_slot" in vars(manager):
        return
    choose = manager.get_node_from_slot

    def of_primaries(slot: int, read_from_replicas: bool = False, *others: Any, **named: Any) -> Any:
        return choose(slot, read_from_replicas and here.call is None, *others, **named)

    manager.get_node_from_slot = of_primaries


def _know_keys_of_scripts(parser: Any) -> None:
    if "get_keys" in vars(parser):
        return
    ask = parser.get_keys

    def get_keys(connection: Any, *command: Any) -> Any:
        if command[0] in _READ_ONLY_SCRIPTS:
            return list(command[3 : 3 + int(command[2])])
        return ask(connection, *command)

    parser.get_keys = get_keys
