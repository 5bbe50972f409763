"""The proxy does to a connection what its controls say; the fault suites rest on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import valkey
from valkey.exceptions import ConnectionError as LostConnection

from support import Cluster, FaultProxy, wait_until
from support.clients import Client, open_client
from support.processes import HOST
from support.resp import FrameCounter
from support.servers import Server

pytestmark = pytest.mark.faults

TEN_MEGABYTES = b"x" * 10_000_000


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[Client]:
    """Goes through the proxy and repeats nothing by itself; it is connected already."""
    client = open_client(proxy.url, retry_on_timeout=False)
    client.ping()
    yield client
    client.close()


@pytest.fixture
def direct(tcp_server: Server) -> Client:
    """Sees what the server really did."""
    return tcp_server.client()


@pytest.fixture
def background() -> Iterator[Callable[..., Future[Any]]]:
    """Runs a call in another thread: `background(client.get, "key")`."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_without_a_fault_requests_and_replies_pass(client: Client, direct: Client) -> None:
    assert client.set("key", "value")
    assert client.get("key") == direct.get("key") == b"value"


def test_ten_megabytes_pass_in_both_directions(client: Client, proxy: FaultProxy) -> None:
    before = proxy.round_trips
    client.set("key", TEN_MEGABYTES)
    assert client.get("key") == TEN_MEGABYTES
    assert proxy.round_trips - before == 2


def test_a_pipeline_is_as_many_requests_as_commands_and_one_round_trip(client: Client, proxy: FaultProxy) -> None:
    requests, round_trips = proxy.requests, proxy.round_trips
    with client.pipeline(transaction=False) as pipeline:
        for number in range(50):
            pipeline.rpush("list", number)
        assert pipeline.execute()[-1] == 50
    assert (proxy.requests - requests, proxy.round_trips - round_trips) == (50, 1)


def test_connections_are_counted_and_their_set_up_is_no_request(proxy: FaultProxy) -> None:
    for _ in range(2):
        with valkey.Valkey.from_url(proxy.url, protocol=3, client_name="counted") as client:
            client.get("key")
    assert (proxy.connections, proxy.requests, proxy.round_trips) == (2, 2, 2)


def test_a_swallowed_reply_leaves_a_write_done_and_its_client_in_doubt(
    client: Client, direct: Client, proxy: FaultProxy
) -> None:
    proxy.swallow_replies()
    with pytest.raises(LostConnection):
        client.rpush("list", "once")
    assert direct.lrange("list", 0, -1) == [b"once"]
    assert client.rpush("list", "twice") == 2


def test_replies_are_swallowed_as_often_as_asked(client: Client, direct: Client, proxy: FaultProxy) -> None:
    proxy.swallow_replies(3)
    for _ in range(3):
        with pytest.raises(LostConnection):
            client.incr("counter")
    assert client.incr("counter") == 4
    assert direct.get("counter") == b"4"


def test_only_the_replies_to_the_named_command_are_swallowed(client: Client, direct: Client, proxy: FaultProxy) -> None:
    proxy.swallow_replies(of=b"INCR")
    assert client.get("counter") is None
    with pytest.raises(LostConnection):
        client.incr("counter")
    assert client.get("counter") == b"1"


def test_a_large_pipeline_is_executed_whole_before_its_replies_are_lost(
    client: Client, direct: Client, proxy: FaultProxy
) -> None:
    proxy.swallow_replies()
    with client.pipeline(transaction=False) as pipeline:
        for number in range(1000):
            pipeline.rpush("list", f"{number}" * 100)
        with pytest.raises(LostConnection):
            pipeline.execute()
    assert direct.llen("list") == 1000


def test_a_large_request_is_executed_before_its_reply_is_lost(
    client: Client, direct: Client, proxy: FaultProxy
) -> None:
    proxy.swallow_replies()
    with pytest.raises(LostConnection):
        client.set("key", TEN_MEGABYTES)
    assert direct.strlen("key") == len(TEN_MEGABYTES)


def test_a_held_reply_arrives_after_its_release(
    client: Client, direct: Client, proxy: FaultProxy, background: Callable[..., Future[Any]]
) -> None:
    proxy.hold_replies()
    pending = background(client.incr, "counter")
    proxy.wait_until_held()
    assert direct.get("counter") == b"1"
    assert not pending.done()
    proxy.release_replies()
    assert pending.result(timeout=5) == 1


def test_cut_resets_every_connection_also_one_whose_reply_is_held(
    proxy: FaultProxy, client: Client, background: Callable[..., Future[Any]]
) -> None:
    proxy.hold_replies()
    pending = background(client.incr, "counter")
    proxy.wait_until_held()
    proxy.cut()
    assert isinstance(pending.exception(timeout=5), LostConnection)
    proxy.release_replies()
    assert client.get("counter") == b"1"


def test_cut_is_felt_by_a_blocked_reader(
    proxy: FaultProxy, client: Client, background: Callable[..., Future[Any]]
) -> None:
    before = proxy.requests
    pending = background(client.blpop, "never", 60)
    wait_until(lambda: proxy.requests > before, "the client to wait")
    proxy.cut()
    assert isinstance(pending.exception(timeout=5), LostConnection)


def test_refuse_turns_new_connections_away_until_accept(proxy: FaultProxy, client: Client) -> None:
    newcomer = valkey.Valkey.from_url(proxy.url)
    proxy.refuse()
    with pytest.raises(LostConnection, match="refused"):
        newcomer.ping()
    assert client.ping(), "an open connection goes on"
    proxy.accept()
    assert newcomer.ping()
    newcomer.close()


@pytest.mark.parametrize("direction", ["requests", "replies"])
def test_each_direction_can_be_delayed(client: Client, proxy: FaultProxy, direction: str) -> None:
    proxy.delay(**{direction: 0.1})
    assert seconds(client.ping) >= 0.1
    assert seconds(lambda: client.set("key", TEN_MEGABYTES)) < 1.0, "once for a burst, not for every packet of it"
    proxy.delay()
    assert seconds(client.ping) < 0.1


def test_a_server_that_dies_is_a_lost_connection_and_one_that_is_gone_too(client: Client, tcp_server: Server) -> None:
    tcp_server.kill()
    for _ in range(2):
        with pytest.raises(LostConnection):
            client.ping()
    tcp_server.restart()
    assert client.ping()


def test_nothing_is_left_of_a_closed_proxy(tcp_server: Server, background: Callable[..., Future[Any]]) -> None:
    with FaultProxy(HOST, tcp_server.port) as proxy:
        client = valkey.Valkey.from_url(proxy.url)
        proxy.hold_replies()
        pending = background(client.ping)
    assert isinstance(pending.exception(timeout=5), LostConnection)
    client.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fault-proxy")]


def test_a_cluster_client_is_led_through_a_proxy_by_its_address_remap(cluster: Cluster) -> None:
    server = cluster.node_for("list")
    with FaultProxy(HOST, server.port) as proxy:
        through = {(HOST, server.port): (HOST, proxy.port)}
        client = cluster.client(address_remap=lambda address: through.get(address, address))
        client.ping(target_nodes=client.ALL_NODES)
        proxy.swallow_replies(of=b"RPUSH")
        client.rpush("list", "once")
        assert client.lrange("list", 0, -1) == [b"once", b"once"], "this client repeats writes by itself"


@pytest.mark.parametrize("cut", [1, 2, 7, 1000])
def test_frames_are_counted_wherever_the_network_cuts_them(cut: int) -> None:
    stream = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n+OK\r\n$-1\r\n*0\r\n%1\r\n$1\r\n\n\r\n*1\r\n:1\r\n$0\r\n\r\n"
    counter = FrameCounter()
    counts = [counter.feed(stream[start : start + cut]) for start in range(0, len(stream), cut)]
    assert sum(counts) == 6
    assert counter.at_boundary
