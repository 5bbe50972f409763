"""Certificates, and a real TLS peer in front of a server that has no TLS of its own."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Callable
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
        self._name = _name(f"authority of {directory.name}")
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
        newest: The newest version of TLS it knows.
    """

    def __init__(
        self,
        port: int,
        certificate: Path,
        clients_of: Path | None = None,
        newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ) -> None:
        self._target, self.port = port, free_port()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._context.maximum_version = newest
        if clients_of is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(clients_of)
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> TlsPeer:
        self._listener = socket.create_server((HOST, self.port), backlog=100)
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        # Connections that were being taken have sockets a moment later.
        while any(thread.is_alive() for thread in self._threads):
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._cut()
            for thread in self._threads:
                thread.join(0.05)
        self._listener.close()

    def show(self, certificate: Path) -> None:
        """Show another certificate from now on, also to those that were connected before."""
        self._context.load_cert_chain(certificate)
        self._cut()

    def _cut(self) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name=f"tls-peer-{self.port}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._begin(self._serve, self._listener.accept()[0])

    def _serve(self, plain: socket.socket) -> None:
        self._sockets.append(plain)
        with contextlib.suppress(OSError), plain, self._context.wrap_socket(plain, server_side=True) as outer:
            self._sockets.append(outer)
            with socket.create_connection((HOST, self._target)) as inner:
                self._sockets.append(inner)
                _carry_both_ways(outer, inner)


def _carry_both_ways(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    """Until either end is done; one thread, as an SSL socket is not to be read and written at the same time."""
    while True:
        readable = [outer] if outer.pending() else select.select([outer, inner], [], [])[0]
        for source in readable:
            data = source.recv(65_536)
            if not data:
                return
            (inner if source is outer else outer).sendall(data)


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
