"""Certificates, and a real TLS peer in front of a server that has no TLS of its own."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.processes import HOST, free_port

_DAY = timedelta(days=1)


class Authority:
    """A certificate authority of a test; what it signs is written to a directory.

    Attributes:
        certificate: The file of its own certificate.
    """

    def __init__(self, directory: Path) -> None:
        self._directory, self._key = directory, ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority of a test")
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        unsigned = _builder(self._name, self._name, self._key, timedelta()).add_extension(constraint, critical=True)
        self.certificate = directory / "authority.pem"
        self.certificate.write_bytes(_pem(unsigned.sign(self._key, hashes.SHA256())))

    def sign(self, *names: str, age: timedelta = timedelta()) -> Path:
        """A certificate for names and addresses, valid for a day, and its key, in one file.

        Args:
            *names: The names.
            age: How long ago it was made.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        unsigned = _builder(_name(names[0]), self._name, key, age)
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        signed = unsigned.add_extension(alternatives, critical=False).sign(self._key, hashes.SHA256())
        path = self._directory / f"{len(list(self._directory.iterdir()))}.pem"
        path.write_bytes(_pem(signed) + _key_pem(key))
        return path


class TlsPeer:
    """Takes TLS connections, and hands on to a server what it reads from them.

    Args:
        port: The server's.
        certificate: A file with certificate and key.
        clients_of: A certificate that clients' own must follow from; None if they need none.
    """

    def __init__(self, port: int, certificate: Path, clients_of: Path | None = None) -> None:
        self._target, self.port = port, free_port()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        if clients_of is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(clients_of)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"tls-peer-{self.port}", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> TlsPeer:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        # Failed handshakes are what some tests are about.
        self._loop.set_exception_handler(lambda *_: None)
        return await asyncio.start_server(self._serve, HOST, self.port, ssl=self._context)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            inward, outward = await asyncio.open_connection(HOST, self._target)
            await _first_done(_carry(reader, outward), _carry(inward, writer))
            outward.close()
        writer.close()
        self._tasks.discard(task)

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


async def _first_done(*works: object) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[call-overload]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, age: timedelta
) -> x509.CertificateBuilder:
    made = datetime.now(timezone.utc) - age - timedelta(minutes=1)
    named = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return named.serial_number(x509.random_serial_number()).not_valid_before(made).not_valid_after(made + _DAY)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
