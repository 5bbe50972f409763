"""A time stamping authority on loopback: `openssl ts`, behind HTTP."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from .processes import HOST

_CONFIG = """
[tsa]
dir = {directory}
serial = $dir/serial
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
certs = $dir/ca.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
"""
_EXTENSIONS = "extendedKeyUsage = critical,timeStamping\nkeyUsage = critical,digitalSignature\n"


class Authority:
    """Stamps what it is asked to.

    Args:
        directory: For its keys.

    Attributes:
        roots: The certificate that its own leads to.
        answer: What is done with each answer before it is sent.
    """

    def __init__(self, directory: Path) -> None:
        self._directory, self.roots = directory, directory / "ca.pem"
        self.answer: Callable[[bytes], bytes] = lambda reply: reply
        (directory / "openssl.cnf").write_text(_CONFIG.format(directory=directory))
        (directory / "extensions").write_text(_EXTENSIONS)
        (directory / "serial").write_text("01\n")
        key = "-newkey rsa:2048 -nodes"
        self._openssl(f"req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=root -days 30")
        self._openssl(f"req {key} -keyout tsa.key -out tsa.csr -subj /CN=tsa")
        signed = "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tsa.pem -days 30"
        self._openssl(f"{signed} -extfile extensions")

    def stamped(self, query: bytes) -> bytes:
        """What it answers."""
        (self._directory / "query").write_bytes(query)
        self._openssl("ts -reply -config openssl.cnf -section tsa -queryfile query -out reply")
        return self.answer((self._directory / "reply").read_bytes())

    def verified(self, stamp: Path, content: Path) -> str:
        """What OpenSSL says of a stamp."""
        return self._openssl(f"ts -verify -in {stamp} -data {content} -CAfile ca.pem")

    def _openssl(self, command: str) -> str:
        done = subprocess.run(
            ["openssl", *command.split()], cwd=self._directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


@contextmanager
def served(authority: Authority) -> Iterator[str]:
    """Its URL, as long as it is served."""

    class _Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            is_query = self.headers["Content-Type"] == "application/timestamp-query"
            self.send_response(200 if is_query else 415)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(authority.stamped(query))

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer((HOST, 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/tsr"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
