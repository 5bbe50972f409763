"""Why no TLS connection comes about, or one that was closed at once: what the driver's errors do not tell.

Only one end may take a port for one with TLS. Then the one waits for a greeting that never comes, or the other resets
the connection; who looks at the port once more, the other way, knows. Nothing secret is sent over such a second
connection.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from valkey import exceptions as driver

from ..errors import TlsError

_LOOK_SECONDS = 1.0
_LOOK_SHARE = 0.2
"""How much of the time for a connection is kept to look at the port again."""
_PATIENCE = 10.0
"""Seconds for a handshake where nobody has said how long it may take."""
_FILES = (("ssl_ca_certs", "ca_certs"), ("ssl_ca_path", "ca_path"), ("ssl_certfile", "certfile"))
_KEY_FILE = ("ssl_keyfile", "keyfile")
# OpenSSL's numbers (x509_vfy.h).
_NOT_YET, _EXPIRED, _WRONG_NAMES, _UNTRUSTED = 9, 10, (62, 64), (2, 18, 19, 20, 21)


class HandshakeError(driver.AuthenticationError):
    """For the driver: an error that no other attempt would cure, and no other node.

    Attributes:
        explained: What to raise for users.
    """

    def __init__(self, explained: TlsError) -> None:
        self.explained = explained
        super().__init__(str(explained))


def wrap(connection: Any, sock: Any, handshake: Callable[[Any], Any]) -> Any:
    """Make a plain socket one with TLS.

    Args:
        connection: The driver's connection, whose time to connect is kept to.
        sock: Its socket.
        handshake: What the driver does.

    Raises:
        HandshakeError: When it is known why this cannot be.
    """
    seconds = connection.socket_connect_timeout or _PATIENCE
    look = min(_LOOK_SECONDS, seconds * _LOOK_SHARE)
    sock.settimeout(seconds - look)
    try:
        secured = handshake(sock)
    except TimeoutError as error:
        if _greets_plainly(connection.host, connection.port, look):
            raise HandshakeError(_plain(connection)) from error
        raise
    except (ssl.SSLError, OSError, ValueError) as error:
        if found := _failure(connection, error):
            raise HandshakeError(found) from error
        raise
    secured.settimeout(connection.socket_timeout)
    return secured


def reason_for_silence(connection: Any, error: BaseException, seconds: float | None) -> HandshakeError | None:
    """Why a new connection was closed before the first answer; None when TLS has nothing to do with it.

    Args:
        connection: The driver's connection.
        error: How it ended.
        seconds: How much time there is to find out; None for no end.
    """
    host = getattr(connection, "host", None)
    if host is None or isinstance(error, driver.TimeoutError):
        return None
    look = _LOOK_SECONDS if seconds is None else min(seconds, _LOOK_SECONDS)
    if hasattr(connection, "cert_reqs"):
        return _unwelcome(connection, look)
    return HandshakeError(_encrypted(connection)) if _greets_with_tls(host, connection.port, look) else None


def _failure(connection: Any, error: Exception) -> TlsError | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(connection, error)
    if isinstance(error, ssl.SSLError):
        return _unfinished(connection, error)
    # Anything else the network may cure.
    is_ours = isinstance(error, (ValueError, FileNotFoundError, PermissionError, IsADirectoryError))
    return _unreadable(connection, error) if is_ours else None


def _untrusted(connection: Any, error: ssl.SSLCertVerificationError) -> TlsError:
    code, says = error.verify_code, error.verify_message.rstrip(".")
    cure = "add a root certificate that the server's follows from: ?ssl_ca_certs=/path/of/ca.pem"
    if code == _EXPIRED:
        cure = "renew the server's certificate (and look whether the clock of this machine is right)"
    elif code == _NOT_YET:
        cure = "look whether the clocks of both machines are right"
    elif code in _WRONG_NAMES:
        cure = "connect to a name that stands in the certificate, or do not check it: ?ssl_check_hostname=false"
    elif code not in _UNTRUSTED:
        cure = "give the server another certificate"
    return TlsError(_address(connection), f"its certificate is refused: {says}", cure)


def _unfinished(connection: Any, error: ssl.SSLError) -> TlsError | None:
    reason = error.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"):
        return _plain(connection)
    if "ALERT" in reason:
        return None if "INTERNAL_ERROR" in reason else _told_by_server(connection, reason)
    return None if error.library in (None, "SSL") else _unreadable(connection, error)


def _unreadable(connection: Any, error: Exception) -> TlsError | None:
    """What is wrong with the files that the URL names; the driver says only that one is."""
    for option, name in (*_FILES, _KEY_FILE):
        path = getattr(connection, name, None)
        if path is not None and not Path(path).exists():
            return TlsError(_address(connection), f"there is no {path!r}", f"{option} must name a file that exists")
    named = ", ".join(option for option, name in (*_FILES, _KEY_FILE) if getattr(connection, name, None))
    return TlsError(_address(connection), str(error), f"look at {named or 'the options that begin with ssl_'}")


def _plain(connection: Any) -> TlsError:
    cure = "write valkey:// or redis:// if that is meant, or name the port that has TLS"
    return TlsError(_address(connection), "the port answers without TLS", cure)


def _encrypted(connection: Any) -> TlsError:
    return TlsError(_address(connection), "the port answers with TLS only", "write valkeys:// or rediss://")


def _told_by_server(connection: Any, reason: str) -> TlsError:
    words = reason.lower().replace("_", " ")
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        cure = "the server may want a certificate of yours: ?ssl_certfile=/path/of/pem&ssl_keyfile=/path/of/pem"
    elif "CERT" in reason or "CA" in reason.split("_"):
        cure = "the server does not take your certificate: look at ssl_certfile, and at the server's tls-ca-cert-file"
    else:
        cure = "look at the TLS settings of both"
    return TlsError(_address(connection), f"the server ended the handshake ({words})", cure)


def _unwelcome(connection: Any, seconds: float) -> HandshakeError | None:
    """What the server said when it closed a finished connection: TLS 1.3 wants the client's certificate late."""
    try:
        sock = socket.create_connection((connection.host, connection.port), timeout=seconds)
        with sock, connection._wrap_plainly(sock) as secured:
            secured.recv(1)
    except ssl.SSLError as error:
        found = _unfinished(connection, error)
        return HandshakeError(found) if found else None
    except OSError:
        pass
    return None


def _greets_plainly(host: str, port: int, seconds: float) -> bool:
    """Whether something that speaks the server's protocol answers there without TLS."""
    try:
        with socket.create_connection((host, port), timeout=seconds) as sock:
            sock.settimeout(seconds)
            sock.sendall(b"PING\r\n")
            return sock.recv(1) in (b"+", b"-")
    except OSError:
        return False


def _greets_with_tls(host: str, port: int, seconds: float) -> bool:
    """Whether a TLS handshake gets an answer there; whose certificate it is does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), timeout=seconds) as sock:
            sock.settimeout(seconds)
            with context.wrap_socket(sock, server_hostname=host):
                return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


def _address(connection: Any) -> str:
    host = str(connection.host)
    return f"[{host}]:{connection.port}" if ":" in host else f"{host}:{connection.port}"
