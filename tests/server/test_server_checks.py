"""What is found out about real servers, and which of them are refused."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import valkey

from strands_session_log.errors import EvictionPolicyError, UnsupportedServerError
from strands_session_log.server import advice, check, checks, embedded, inspect, release
from support import ValkeyliteServer
from support.clients import connect

CHECKS_LOGGER = "strands_session_log.server.checks"


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def answers(port: int) -> bool:
    try:
        with valkey.Valkey(port=port) as client:
            return bool(client.ping())
    except valkey.AuthenticationError:
        return True
    except valkey.ConnectionError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start() -> Iterator[Callable[..., int]]:
    """Start a server on a loopback port with the given options, until the end of the test."""
    started = []
    directory = tempfile.mkdtemp(prefix="checks-")

    def start_one(*arguments: str, **options: str) -> int:
        port = free_port()
        options = {"port": str(port), "bind": "127.0.0.1", "dir": directory, **options}
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
        command = [embedded.find_binary(), *arguments, *words]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        wait_until(lambda: answers(port))
        return port

    yield start_one
    for process in started:
        process.kill()
        process.wait()
    shutil.rmtree(directory)


@pytest.fixture(params=[False, True], ids=["bytes", "text"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    client = connect("embedded:", decode_responses=request.param)
    yield client
    release(client)


class TestInspect:
    def test_everything_a_server_tells(self, client: Any) -> None:
        client.config_set("maxmemory", 100_000_000)

        report = inspect(client)

        assert report.flavour == "valkey"
        assert report.version is not None
        assert report.version >= (7, 2)
        assert report.name == f"Valkey {client.info('server')['valkey_version']}"
        assert (report.mode, report.role, report.replicas) == ("standalone", "primary", 0)
        assert (report.aof_enabled, report.appendfsync, report.rdb_save) == (True, "everysec", "")
        assert (report.maxmemory, report.maxmemory_policy) == (100_000_000, "noeviction")
        assert report.used_memory is not None
        assert 100_000 < report.used_memory < 100_000_000
        assert report.stream_node_max_bytes == 65_536
        assert {finding.level for finding in advice(report)} == {"ok"}

    def test_it_takes_one_round_trip(self, client: Any) -> None:
        client.ping()
        before = client.info("stats")["total_reads_processed"]
        inspect(client)

        # The second INFO is a read of its own.
        assert client.info("stats")["total_reads_processed"] - before == 2

    def test_resp3(self, client: Any) -> None:
        kwargs = {**client.connection_pool.connection_kwargs, "protocol": 3}
        resp3 = valkey.Valkey(connection_pool=valkey.ConnectionPool(valkey.UnixDomainSocketConnection, **kwargs))

        expected, found = inspect(client), inspect(resp3)

        assert (found.name, found.rdb_save) == (expected.name, "")
        resp3.close()

    def test_excerpts_that_a_server_keeps_of_commands(self) -> None:
        with ValkeyliteServer() as server, server.client() as client:
            excerpts = inspect(client).excerpts or {}
            assert excerpts["slowlog-log-slower-than"] == 10_000
            assert excerpts["commandlog-request-larger-than"] == 1_048_576
            for name in excerpts:
                client.config_set(name, -1)
            assert inspect(client).excerpts == {}

    def test_the_embedded_server_keeps_none(self, client: Any) -> None:
        assert inspect(client).excerpts == {}

    def test_a_server_without_config_as_a_managed_one(self, start: Callable[..., int]) -> None:
        port = start("--rename-command", "CONFIG", "")

        with valkey.Valkey(port=port) as client:
            report = check(client)

        assert report.appendfsync is None
        assert report.rdb_save is None
        assert report.stream_node_max_bytes is None
        assert report.maxmemory_policy == "noeviction"
        assert report.is_persistent is None

    def test_a_replica(self, client: Any, start: Callable[..., int]) -> None:
        primary = start()
        replica = start(replicaof=f"127.0.0.1 {primary}", repl_diskless_sync_delay="0")
        with valkey.Valkey(port=primary) as first, valkey.Valkey(port=replica) as second:
            wait_until(lambda: first.info("replication")["connected_slaves"] == 1)

            assert inspect(second).role == "replica"
            assert (inspect(first).role, inspect(first).replicas) == ("primary", 1)

    @pytest.mark.parametrize("decode", [False, True])
    def test_a_cluster(self, start: Callable[..., int], decode: bool) -> None:
        port = start(cluster_enabled="yes", cluster_config_file=f"nodes-{decode}", cluster_port=str(free_port()))
        with valkey.Valkey(port=port) as node:
            node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16_383)
            wait_until(lambda: node.cluster("INFO")["cluster_state"] == "ok")

        client = connect(f"valkey+cluster://127.0.0.1:1,127.0.0.1:{port}", decode_responses=decode)

        assert isinstance(client, valkey.ValkeyCluster)
        report = check(client)
        assert (report.mode, report.role) == ("cluster", "primary")
        assert report.rdb_save
        release(client)

    def test_the_primary_behind_sentinels(self, start: Callable[..., int], tmp_path: Path) -> None:
        primary = start(requirepass="secret", masterauth="secret")
        config = tmp_path / "sentinel.conf"
        config.write_text(f"sentinel monitor main 127.0.0.1 {primary} 1\nsentinel auth-pass main secret\n")
        sentinel = start(str(config), "--sentinel")

        client = connect(f"valkey+sentinel://:secret@127.0.0.1:1,127.0.0.1:{sentinel}/main")

        assert client.client_info()["name"] == "strands-session-log"
        assert check(client).role == "primary"
        release(client)


class TestCheck:
    @pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
    def test_a_server_that_evicts_anything_is_refused(self, client: Any, policy: str) -> None:
        client.config_set("maxmemory-policy", policy)

        with pytest.raises(EvictionPolicyError, match=policy):
            check(client)

        assert check(client, allow_eviction=True).evicts_anything

    def test_a_server_that_evicts_what_expires_is_not(self, client: Any) -> None:
        client.config_set("maxmemory-policy", "volatile-lru")

        assert check(client).maxmemory_policy == "volatile-lru"

    def test_one_warning_when_nothing_is_kept(self, client: Any, caplog: pytest.LogCaptureFixture) -> None:
        client.config_set("appendonly", "no")
        caplog.set_level(logging.DEBUG, CHECKS_LOGGER)

        report = check(client)

        assert [record.getMessage() for record in caplog.records if record.name == CHECKS_LOGGER] == [
            f"server=<{report.name}> | the server keeps nothing on disk, every session ends with it"
        ]

    def test_no_warning_when_snapshots_are_kept(self, client: Any, caplog: pytest.LogCaptureFixture) -> None:
        client.config_set("appendonly", "no")
        client.config_set("save", "3600 1")

        assert check(client).rdb_save == "3600 1"
        assert not [record for record in caplog.records if record.name == CHECKS_LOGGER]

    @pytest.mark.parametrize(("flavour", "oldest"), [("valkey", (99, 0)), ("redis", (99, 0))])
    def test_a_server_too_old_is_refused(
        self, client: Any, monkeypatch: pytest.MonkeyPatch, flavour: str, oldest: tuple[int, int]
    ) -> None:
        monkeypatch.setattr(checks, "OLDEST", {**checks.OLDEST, flavour: oldest})
        if flavour != "valkey":
            assert check(client).is_supported
            return

        with pytest.raises(
            UnsupportedServerError, match=r"the server is Valkey .* Valkey 7\.2 or Redis 7\.0 is needed"
        ):
            check(client)

    @pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
    def test_installed_servers(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        installed = shutil.which(name)
        if installed is None:
            pytest.skip(f"{name} is not installed")
        monkeypatch.setattr(embedded, "find_binary", lambda: installed)
        client = connect("embedded:")

        report = check(client)

        assert report.flavour == name.partition("-")[0]
        assert report.is_supported
        release(client)


def test_an_old_redis_is_told_by_its_info() -> None:
    report = checks._report({"redis_version": "6.2.14"}, dict.fromkeys(checks._CONFIG))

    assert (report.name, report.is_supported) == ("Redis 6.2.14", False)
