"""The same by other clients: RESP 2 and 3, with libvalkey and without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import valkey
from valkey._parsers import _LibvalkeyParser, _RESP2Parser, _RESP3Parser

from strands_session_log import SessionLog, ValkeySessionManager
from support.processes import HOST
from support.servers import ValkeyliteServer

from ..measuring import Run
from ..rows import Pair, Row
from ..sessions import Limit, agent, calm, converse, resume, transcript
from ..text import message
from .append import body

_APPENDS, _RESUMES = 300, 20
_CLIENTS: dict[str, tuple[int, Any]] = {
    "RESP2, libvalkey": (2, _LibvalkeyParser),
    "RESP2, valkey-py's parser": (2, _RESP2Parser),
    "RESP3, libvalkey": (3, _LibvalkeyParser),
    "RESP3, valkey-py's parser": (3, _RESP3Parser),
}


def rows(run: Run) -> Iterator[Row]:
    """All on one server, on TCP; the other side has the same client."""
    length = run.size(1000)
    with ValkeyliteServer() as server, ExitStack() as stack:
        logs = {name: stack.enter_context(_log(server.port, *how)) for name, how in _CLIENTS.items()}
        first = next(iter(logs.values()))
        converse(ValkeySessionManager("s", log=first), length)
        calm(first)
        Limit(first.client, transcript(first, "s"))
        pairs = [_appending(name, log) for name, log in logs.items()]
        yield from run.measure(pairs, _APPENDS, "appending by several clients")
        pairs = [_resuming(name, log, length) for name, log in logs.items()]
        yield from run.measure(pairs, _RESUMES, "resuming by several clients")


def _log(port: int, protocol: int, parser: Any) -> SessionLog:
    pool = valkey.ConnectionPool(host=HOST, port=port, protocol=protocol, parser_class=parser, socket_timeout=10)
    return SessionLog(valkey.Valkey(connection_pool=pool))


def _appending(name: str, log: SessionLog) -> Pair:
    manager, said = ValkeySessionManager(name, log=log), count()
    living, plain = agent(manager), body(0)

    def append() -> None:
        manager.append_message(message(next(said)), living)

    def xadd() -> None:
        log.client.execute_command("XADD", "plain", "*", "body", plain)

    return Pair(f"{name}: append a message through the manager ÷ XADD of the same body", append, xadd)


def _resuming(name: str, log: SessionLog, length: int) -> Pair:
    limit = Limit(log.client)

    def resumed() -> Any:
        return resume(log, "s")

    def loaded() -> Any:
        return limit.load_with_agent()

    return Pair(f"{name}: resume {length:,} messages ÷ GET, orjson, SessionMessage and a bare Agent", resumed, loaded)
