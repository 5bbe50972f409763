"""Reaching a server through sentinels, and through TLS."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from strands_session_log import SessionLog, errors, events
from support import RedisServer, ValkeyliteServer
from support.processes import HOST, free_port
from support.sentinel import sentinel_of
from support.servers import Server


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    with ValkeyliteServer() as server:
        yield server


@pytest.fixture(scope="module")
def sentinel(primary: Server) -> Iterator[int]:
    """The port of a real sentinel that watches the primary as `mymaster`."""
    with sentinel_of(primary) as port:
        yield port


def test_a_log_is_reached_through_its_sentinels(primary: Server, sentinel: int) -> None:
    with SessionLog.connect(f"valkey+sentinel://{HOST}:{sentinel}/mymaster") as log:
        log.append("s", events.Custom("custom.note", {"number": 1}))
    assert SessionLog.connect(primary.url).verify("s").revision == 1


def test_a_service_the_sentinels_do_not_know_is_an_error_in_one_line(sentinel: int) -> None:
    with pytest.raises(errors.SessionLogError, match="other"):
        SessionLog.connect(f"valkey+sentinel://{HOST}:{sentinel}/other", retry_for=0)


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[str]:
    """The URL of a real server that speaks TLS, with the certificate to check it by."""
    if shutil.which("redis-server") is None or shutil.which("openssl") is None:
        pytest.skip("needs Debian's redis-server, which has TLS, and openssl")
    key, certificate, port = tmp_path / "key.pem", tmp_path / "certificate.pem", free_port()
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    files = {"tls_cert_file": str(certificate), "tls_key_file": str(key), "tls_ca_cert_file": str(certificate)}
    with RedisServer(tls_port=str(port), tls_auth_clients="no", **files):
        yield f"rediss://localhost:{port}?ssl_ca_certs={certificate}"


def test_a_log_is_reached_through_tls_and_the_certificate_is_checked(encrypted: str) -> None:
    with SessionLog.connect(encrypted) as log:
        log.append("s", events.Custom("custom.note", {"number": 1}))
        assert log.verify("s").ok
    with pytest.raises(errors.TlsError, match=r"(?i)certificate.*ssl_ca_certs="):
        SessionLog.connect(encrypted.partition("?")[0])


def test_a_plain_url_of_its_tls_port_says_so(encrypted: str) -> None:
    with pytest.raises(errors.TlsError, match="the port answers with TLS only; write valkeys://"):
        SessionLog.connect(encrypted.partition("?")[0].replace("rediss:", "redis:"))
