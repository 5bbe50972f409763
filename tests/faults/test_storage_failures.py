"""Strands' storage protocol when the network, the server or the caller gives up half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

pytest.importorskip("strands.session.snapshot_session_manager", reason="this version of Strands has no snapshots")
from strands import Agent
from strands.session.snapshot_session_manager import SnapshotSessionManager
from strands.types.exceptions import StorageError

from strands_session_log import SessionLog, ValkeyStorage, errors
from strands_session_log.testing.model import ScriptedModel
from support import FaultProxy, ValkeyliteServer
from support.servers import Server

pytestmark = pytest.mark.faults


@pytest.fixture
def behind_proxy(proxy: FaultProxy) -> Iterator[ValkeyStorage]:
    """On a server of this test alone, its scripts loaded and its counters at rest."""
    with SessionLog.connect(proxy.url) as log:
        storage = ValkeyStorage(log)
        asyncio.run(storage.write("other", b"x"))
        asyncio.run(storage.delete("missing"))
        yield storage


def test_every_operation_is_one_round_trip(behind_proxy: ValkeyStorage, proxy: FaultProxy) -> None:
    for operation in (
        lambda: behind_proxy.write("key", b"x"),
        lambda: behind_proxy.read("key"),
        lambda: behind_proxy.list(""),
        lambda: behind_proxy.delete("key"),
    ):
        before = proxy.round_trips
        asyncio.run(operation())
        assert proxy.round_trips - before == 1


def test_a_write_whose_reply_is_lost_is_repeated(behind_proxy: ValkeyStorage, proxy: FaultProxy) -> None:
    proxy.swallow_replies(of=b"EVALSHA")
    asyncio.run(behind_proxy.write("key", b"once"))
    assert asyncio.run(behind_proxy.read("key")) == b"once"


def test_the_event_loop_goes_on_while_the_server_does_not(behind_proxy: ValkeyStorage, proxy: FaultProxy) -> None:
    async def run() -> None:
        for operation in (behind_proxy.write("key", b"x"), behind_proxy.read("key"), behind_proxy.list("")):
            proxy.hold_replies()
            running = asyncio.ensure_future(operation)
            # This needs the loop: were it blocked, the driver would give up before anything could be released.
            await asyncio.to_thread(proxy.wait_until_held)
            assert not running.done()
            proxy.release_replies()
            await running

    asyncio.run(run())


def test_a_cancelled_write_is_finished_before_the_cancellation_goes_on(
    behind_proxy: ValkeyStorage, proxy: FaultProxy
) -> None:
    async def run() -> None:
        proxy.hold_replies()
        writing = asyncio.ensure_future(behind_proxy.write("key", b"first"))
        await asyncio.to_thread(proxy.wait_until_held)
        writing.cancel()
        done, _ = await asyncio.wait([writing], timeout=0.05)
        assert not done
        proxy.release_replies()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await behind_proxy.write("key", b"second")
        assert await behind_proxy.read("key") == b"second"

    asyncio.run(run())


def test_a_server_that_is_away_is_a_storage_error_with_its_cause(tcp_server: Server) -> None:
    storage = ValkeyStorage(SessionLog(tcp_server.client(), retry_for=0))
    tcp_server.kill()
    for what, operation in {
        "write 'key'": storage.write("key", b"x"),
        "read 'key'": storage.read("key"),
        "delete 'key'": storage.delete("key"),
        "list keys with prefix 'key'": storage.list("key"),
    }.items():
        with pytest.raises(StorageError, match=f"Failed to {what}: ") as failure:
            asyncio.run(operation)
        assert isinstance(failure.value.__cause__, errors.ServerUnavailableError)


def test_an_agent_whose_snapshot_cannot_be_written_fails_closed(tcp_server: Server) -> None:
    storage = ValkeyStorage(SessionLog(tcp_server.client(), retry_for=0))
    manager = SnapshotSessionManager("s", storage=storage)
    agent = Agent(model=ScriptedModel(["Hello."]), session_manager=manager, callback_handler=None)
    tcp_server.kill()
    with pytest.raises(StorageError, match="Failed to write 'session/s/"):
        agent("Hi")


def test_a_full_server_refuses_a_write_as_a_whole_and_still_reads_and_deletes() -> None:
    with ValkeyliteServer(maxmemory_policy="noeviction") as server:
        storage = ValkeyStorage(SessionLog(server.client(), retry_for=0.2))
        asyncio.run(storage.write("key", b"before"))
        server.execute("SET", "ballast", "x" * 4_000_000)
        server.execute("CONFIG", "SET", "maxmemory", "1mb")
        for key in ("key", "new"):
            with pytest.raises(StorageError, match="maxmemory") as refusal:
                asyncio.run(storage.write(key, b"after"))
            assert isinstance(refusal.value.__cause__, errors.OutOfMemoryError)
        assert (asyncio.run(storage.list()), asyncio.run(storage.read("key"))) == (["key"], b"before")
        asyncio.run(storage.delete("key"))
        assert asyncio.run(storage.list()) == []
