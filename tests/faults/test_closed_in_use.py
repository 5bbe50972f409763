"""A client that one thread closes while others use it: they lost a connection, which is no riddle of the driver's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from valkey import exceptions as driver
from valkey._parsers import _LibvalkeyParser, _RESP2Parser, _RESP3Parser

from strands_session_log import SessionLog
from strands_session_log.server.errors import is_transient
from support.servers import Server
from support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    ("parser", "protocol"), [(_LibvalkeyParser, 2), (_LibvalkeyParser, 3), (_RESP2Parser, 2), (_RESP3Parser, 3)]
)
def test_a_connection_that_is_closed_in_the_moment_in_which_its_reply_comes_is_a_lost_one(
    tcp_server: Server, parser: Any, protocol: int
) -> None:
    client = tcp_server.client(protocol=protocol)
    SessionLog(client).close()
    connection = client.connection_pool.get_connection("BLPOP")
    connection.set_parser(parser)
    connection.disconnect()
    connection.send_command("BLPOP", "list", 0)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(connection.read_response)
        wait_until(lambda: client.info("clients")["blocked_clients"], "it to wait")
        # What closing begins with; before it comes to the socket, something arrives there.
        connection._parser.on_disconnect()
        client.rpush("list", "something")
        error = reading.exception(PATIENCE)
    assert isinstance(error, driver.ConnectionError), repr(error)
    assert "another thread closed" in str(error)
    assert is_transient(error)
    client.connection_pool.release(connection)
