"""Connections with TLS: whom a certificate is for, and what is said when there can be none."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import valkey
from typer.testing import CliRunner

from strands_session_log import SessionLog, errors, events
from strands_session_log.cli.app import app
from strands_session_log.server import connect, outage, release
from support import Cluster, ValkeyliteServer, wait_until
from support.following import collecting
from support.processes import HOST, free_port
from support.sentinel import sentinel_of
from support.servers import Server
from support.tls import Authority, TlsPeer

NOTE = events.Custom("custom.note", {"number": 1})
Encrypt = Callable[..., TlsPeer]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with ValkeyliteServer() as server:
        yield server


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def encrypt(server: Server, authority: Authority) -> Iterator[Encrypt]:
    """Puts a peer with TLS before the server, whose certificate is for this machine unless told otherwise."""
    with ExitStack() as peers:

        def start(
            *names: str, port: int = server.port, clients_of: Path | None = None, age: timedelta = timedelta()
        ) -> TlsPeer:
            certificate = authority.sign(*(names or ("localhost", HOST)), age=age)
            return peers.enter_context(TlsPeer(port, certificate, clients_of))

        yield start


def refusal(url: str, retry_for: float = 10.0) -> errors.TlsError:
    """What is raised for a URL, which must be so at once."""
    before = time.monotonic()
    with pytest.raises(errors.TlsError) as caught:
        SessionLog.connect(url, retry_for=retry_for)
    assert time.monotonic() - before < 5.0
    assert not caught.value.may_have_written
    return caught.value


@pytest.mark.parametrize("scheme", ["valkeys", "rediss"])
def test_a_log_is_kept_over_tls(scheme: str, encrypt: Encrypt, authority: Authority) -> None:
    url = f"{scheme}://localhost:{encrypt().port}?ssl_ca_certs={authority.certificate}"
    with SessionLog.connect(url, namespace=f"tls-{scheme}") as log:
        log.append("s", NOTE)
        assert log.verify("s").ok
        with log.tail("s") as tail:
            assert next(tail).id.revision == 1


def test_a_certificate_for_another_host_is_refused(encrypt: Encrypt, authority: Authority) -> None:
    port = encrypt("somewhere.example").port
    error = refusal(f"valkeys://localhost:{port}?ssl_ca_certs={authority.certificate}")

    assert (error.address, "'localhost'" in error.reason) == (f"localhost:{port}", True)
    assert "ssl_check_hostname=false" in error.cure


@pytest.mark.parametrize("how", ["ssl_check_hostname=false", "ssl_check_hostname=no", "ssl_cert_reqs=none"])
def test_the_check_of_the_host_can_be_declined_in_the_url(how: str, encrypt: Encrypt, authority: Authority) -> None:
    port = encrypt("somewhere.example").port
    trusted = "" if "reqs" in how else f"&ssl_ca_certs={authority.certificate}"
    with SessionLog.connect(f"valkeys://localhost:{port}?{how}{trusted}", namespace="declined") as log:
        assert log.sessions() == []


def test_or_by_an_option(encrypt: Encrypt, authority: Authority) -> None:
    url = f"valkeys://localhost:{encrypt('somewhere.example').port}?ssl_ca_certs={authority.certificate}"
    client = connect(url, ssl_check_hostname=False)
    assert SessionLog(client, namespace="declined").sessions() == []
    release(client)


def test_declining_both_and_asking_for_it_is_a_contradiction() -> None:
    with pytest.raises(errors.InvalidUrlError, match="take one away"):
        connect("valkeys://h?ssl_cert_reqs=none&ssl_check_hostname=true")


def test_an_older_version_of_tls_than_the_url_names_is_refused(server: Server, authority: Authority) -> None:
    with TlsPeer(server.port, authority.sign("localhost"), newest=ssl.TLSVersion.TLSv1_2) as peer:
        url = f"valkeys://localhost:{peer.port}?ssl_ca_certs={authority.certificate}&ssl_min_version="
        with SessionLog.connect(f"{url}TLSv1_2", namespace="old") as log:
            assert log.sessions() == []
        assert "protocol version" in refusal(f"{url}TLSv1_3").reason


def test_an_expired_certificate_is_refused(encrypt: Encrypt, authority: Authority) -> None:
    port = encrypt(age=timedelta(days=3)).port
    error = refusal(f"valkeys://localhost:{port}?ssl_ca_certs={authority.certificate}")

    assert "expired" in error.reason
    assert "renew" in error.cure


def test_a_certificate_that_is_not_valid_yet_is_refused(encrypt: Encrypt, authority: Authority) -> None:
    port = encrypt(age=timedelta(days=-3)).port
    error = refusal(f"valkeys://localhost:{port}?ssl_ca_certs={authority.certificate}")

    assert "not yet valid" in error.reason
    assert "clock" in error.cure


def test_a_certificate_of_an_unknown_authority_is_refused(encrypt: Encrypt) -> None:
    error = refusal(f"valkeys://localhost:{encrypt().port}")

    assert "certificate" in error.reason
    assert "ssl_ca_certs=" in error.cure


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
def test_a_file_that_does_not_exist_is_named(option: str, encrypt: Encrypt) -> None:
    error = refusal(f"valkeys://localhost:{encrypt().port}?{option}=/no/such.pem")

    assert "'/no/such.pem'" in error.reason
    assert option in error.cure


def test_a_file_that_holds_no_certificate_is_suspected(encrypt: Encrypt, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("no certificate")
    error = refusal(f"valkeys://localhost:{encrypt().port}?ssl_ca_certs={tmp_path / 'empty'}")

    assert "ssl_ca_certs" in error.cure


def test_a_server_that_wants_a_certificate_of_its_clients(encrypt: Encrypt, authority: Authority) -> None:
    port = encrypt(clients_of=authority.certificate).port
    trusted = f"valkeys://localhost:{port}?ssl_ca_certs={authority.certificate}"

    assert "ssl_certfile=" in refusal(trusted).cure
    own = authority.sign("client")
    with SessionLog.connect(f"{trusted}&ssl_certfile={own}", namespace="mutual") as log:
        assert log.sessions() == []


def test_a_certificate_of_clients_that_the_server_does_not_take(
    encrypt: Encrypt, authority: Authority, tmp_path: Path
) -> None:
    port = encrypt(clients_of=authority.certificate).port
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").sign("client")
    error = refusal(f"valkeys://localhost:{port}?ssl_ca_certs={authority.certificate}&ssl_certfile={stranger}")

    assert "does not take your certificate" in error.cure


@pytest.mark.parametrize("attempt", range(3))
def test_a_tls_url_of_a_plain_port_says_so_within_the_time_to_connect(attempt: int, server: Server) -> None:
    """A server without TLS waits for the end of a greeting that it takes for a command."""
    error = refusal(f"valkeys://localhost:{server.port}?socket_connect_timeout=1.5")

    assert (error.address, error.reason) == (f"localhost:{server.port}", "the port answers without TLS")
    assert "valkey://" in error.cure


def test_a_plain_url_of_a_tls_port_says_so(encrypt: Encrypt) -> None:
    error = refusal(f"valkey://:hunter2@localhost:{encrypt().port}")

    assert error.reason == "the port answers with TLS only"
    assert "valkeys://" in error.cure
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("scheme", ["valkey", "valkeys"])
def test_a_server_that_is_away_or_hangs_up_is_no_matter_of_tls(scheme: str) -> None:
    """Time may cure that: it is waited for."""
    with pytest.raises(errors.ServerUnavailableError) as nobody:
        SessionLog.connect(f"{scheme}://localhost:{free_port()}", retry_for=0)
    with hanging_up() as port, pytest.raises(errors.ServerUnavailableError) as closed:
        SessionLog.connect(f"{scheme}://localhost:{port}", retry_for=0.3)
    for caught in (nobody, closed):
        assert not isinstance(caught.value, errors.TlsError)


@contextmanager
def hanging_up() -> Iterator[int]:
    """The port of somebody who takes connections and closes them."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                listener.accept()[0].close()

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_client_that_somebody_brings_hears_of_it_too(server: Server, encrypt: Encrypt, authority: Authority) -> None:
    trusted: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(authority.certificate), "ssl_check_hostname": True}
    brought = valkey.Valkey(port=encrypt("somewhere.example").port, socket_timeout=2, **trusted)
    with pytest.raises(errors.TlsError, match="ssl_check_hostname=false"):
        SessionLog(brought)
    brought.close()


def test_a_tail_waits_until_a_certificate_that_has_expired_is_renewed(
    encrypt: Encrypt, authority: Authority, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "_AGAIN", 0.0)
    peer = encrypt()
    url = f"valkeys://localhost:{peer.port}?ssl_ca_certs={authority.certificate}"
    with SessionLog.connect(url, namespace="renewed") as log, collecting(log.tail("s")) as found:
        peer.show(authority.sign("localhost", age=timedelta(days=3)))
        wait_until(lambda: "expired" in caplog.text, "it to wait")
        peer.show(authority.sign("localhost"))
        log.append("s", NOTE)
        wait_until(lambda: len(found) == 1, "what came after that")
    assert found.error is None


class TestCluster:
    @pytest.fixture
    def port(self, cluster: Cluster, encrypt: Encrypt) -> int:
        return encrypt("somewhere.example", port=cluster.nodes[0].port).port

    def test_the_host_is_checked(self, port: int, authority: Authority) -> None:
        """Before anything is sent: the driver's cluster client has no option for it."""
        error = refusal(f"valkeys+cluster://localhost:{port}?ssl_ca_certs={authority.certificate}")

        assert error.address == f"{HOST}:{port}"
        assert "ssl_check_hostname=false" in error.cure

    def test_unless_that_is_declined(self, cluster: Cluster, encrypt: Encrypt, authority: Authority) -> None:
        ports = {node.port: encrypt("somewhere.example", port=node.port).port for node in cluster.nodes}
        url = f"valkeys+cluster://localhost:{ports[cluster.nodes[0].port]}?ssl_check_hostname=false"
        client = connect(
            f"{url}&ssl_ca_certs={authority.certificate}", address_remap=lambda place: (HOST, ports[place[1]])
        )
        log = SessionLog(client, namespace="t-tls")
        for number in range(8):
            log.append(f"s-{number}", NOTE)
        assert len(log.sessions()) == 8
        release(client)

    def test_a_certificate_for_the_nodes_is_taken(
        self, cluster: Cluster, encrypt: Encrypt, authority: Authority
    ) -> None:
        ports = {node.port: encrypt(port=node.port).port for node in cluster.nodes}
        url = f"valkeys+cluster://localhost:{ports[cluster.nodes[0].port]}?ssl_ca_certs={authority.certificate}"
        client = connect(url, address_remap=lambda place: (HOST, ports[place[1]]))
        assert SessionLog(client, namespace="t-tls").sessions() == []
        release(client)

    def test_a_plain_port_says_so(self, cluster: Cluster) -> None:
        error = refusal(f"valkeys+cluster://{HOST}:{cluster.nodes[0].port}?socket_connect_timeout=1.5")
        assert error.reason == "the port answers without TLS"

    def test_so_does_one_with_tls(self, port: int) -> None:
        assert refusal(f"valkey+cluster://{HOST}:{port}").reason == "the port answers with TLS only"


class TestSentinel:
    @pytest.fixture
    def sentinel(self, server: Server) -> Iterator[int]:
        with sentinel_of(server) as port:
            yield port

    def test_the_host_of_a_sentinel_is_checked(self, sentinel: int, encrypt: Encrypt, authority: Authority) -> None:
        port = encrypt("somewhere.example", port=sentinel).port
        error = refusal(f"valkeys+sentinel://localhost:{port}/mymaster?ssl_ca_certs={authority.certificate}")

        assert error.address == f"localhost:{port}"
        assert "ssl_check_hostname=false" in error.cure

    def test_a_primary_without_tls_behind_one_with_it_says_so(
        self, sentinel: int, server: Server, encrypt: Encrypt, authority: Authority
    ) -> None:
        url = f"valkeys+sentinel://localhost:{encrypt(port=sentinel).port}/mymaster"
        error = refusal(f"{url}?ssl_ca_certs={authority.certificate}&socket_connect_timeout=1.5")

        assert (error.address, error.reason) == (f"{HOST}:{server.port}", "the port answers without TLS")

    def test_a_plain_url_of_a_sentinel_with_tls_says_so(self, sentinel: int, encrypt: Encrypt) -> None:
        port = encrypt(port=sentinel).port
        assert refusal(f"valkey+sentinel://localhost:{port}/mymaster").reason == "the port answers with TLS only"


def test_the_command_line_says_it_in_one_line(server: Server) -> None:
    result = CliRunner().invoke(app, ["sessions", "--url", f"valkeys://{HOST}:{server.port}?socket_connect_timeout=1"])

    assert result.exit_code == 4
    assert result.output == (
        f"session-log: no connection to {HOST}:{server.port}: the port answers without TLS; "
        "write valkey:// or redis:// if that is meant, or name the port that has TLS\n"
    )
