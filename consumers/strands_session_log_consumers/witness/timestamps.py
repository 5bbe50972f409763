"""Time stamps (RFC 3161): somebody else testifies that a checkpoint was there at a time.

The witness's own clock, and its key, prove no time to who does not trust it. A stamp of `checkpoints/<size>` is kept as
`timestamps/<size>.tsr`, as `openssl ts -verify` reads it.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from strands_session_log.errors import MissingExtraError, SessionLogError

_SECONDS = 10.0
_MOST_BYTES = 100_000
_CERTIFICATES = 0xA0
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"


class TimeStampError(SessionLogError):
    """A time stamping authority gave no stamp, or one that proves nothing.

    Attributes:
        authority: Its URL.
        reason: What is wrong.
    """

    def __init__(self, authority: str, reason: str) -> None:
        self.authority, self.reason = authority, reason
        super().__init__(f"no time stamp from {authority}: {reason}")


class TimeStampAuthority:
    """Asks one authority for time stamps, and checks them.

    Args:
        url: Where it is, http or https.
        roots: File with certificates in PEM that its own must lead to; empty to take any.

    Raises:
        TimeStampError: When the URL is none of these, or the file has no certificate.
        MissingExtraError: When what reads time stamps is not installed.
    """

    def __init__(self, url: str, roots: str = "") -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise TimeStampError(url, "its URL is neither http nor https")
        self._client = _client()
        self.url, self._roots = url, _certificates(url, roots) if roots else []

    def stamp(self, content: bytes) -> bytes:
        """A stamp of some content, in DER.

        Raises:
            TimeStampError: When there is none.
        """
        request = self._client.TimestampRequestBuilder(content, self._client.HashAlgorithm.SHA256).build()
        answer = self._asked(request.as_bytes())
        self.check(answer, content, request.nonce)
        return answer

    def check(self, answer: bytes, content: bytes, nonce: int | None = None) -> None:
        """Check that a stamp is of some content, and by whom it should be.

        Raises:
            TimeStampError: When it is not.
        """
        try:
            found = self._client.decode_timestamp_response(_in_order(answer))
            imprint, told = found.tst_info.message_imprint.message, found.tst_info.nonce
        except Exception as error:
            raise TimeStampError(self.url, f"what it answered is no stamp: {error}") from error
        if imprint != sha256(content).digest():
            raise TimeStampError(self.url, "the stamp is of something else")
        if nonce is not None and told != nonce:
            raise TimeStampError(self.url, "the stamp is the answer to another request")
        if self._roots:
            self._verify(found, content)

    def _verify(self, found: Any, content: bytes) -> None:
        builder = self._client.VerifierBuilder()
        try:
            for certificate in self._roots:
                builder = builder.add_root_certificate(certificate)
            builder.build().verify_message(found, content)
        except Exception as error:
            # Certificates in the answer that are none have errors of their own.
            raise TimeStampError(self.url, f"the stamp is signed by somebody else: {error}") from error

    def _asked(self, query: bytes) -> bytes:
        request = Request(self.url, query, {"Content-Type": _QUERY, "Accept": _REPLY})
        try:
            # Where it leads to was not asked for.
            with build_opener(_NoRedirects).open(request, timeout=_SECONDS) as reply:
                answer: bytes = reply.read(_MOST_BYTES + 1)
        except (OSError, URLError, ValueError) as error:
            raise TimeStampError(self.url, str(error)) from error
        if len(answer) > _MOST_BYTES:
            raise TimeStampError(self.url, f"it answered more than {_MOST_BYTES:,} bytes")
        return answer


def _in_order(answer: bytes) -> bytes:
    """An answer with its certificates in the order that DER asks for: OpenSSL leaves them as they were given to it.

    No signature covers them.
    """
    with suppress(IndexError):
        token = _inside(answer, *_inside(answer, 0, len(answer))[0][1:])[1]
        signed_data = _inside(answer, *_inside(answer, *token[1:])[1][1:])[0]
        for tag, start, end in _inside(answer, *signed_data[1:]):
            if tag == _CERTIFICATES:
                parts = _inside(answer, start, end)
                begins = [start, *(last for _, _, last in parts[:-1])]
                certificates = sorted(answer[at:last] for at, (_, _, last) in zip(begins, parts, strict=True))
                return answer[:start] + b"".join(certificates) + answer[end:]
    return answer


def _inside(raw: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    """What stands in a piece of DER: tag, and where its content begins and ends.

    Raises:
        IndexError: When it is cut off.
    """
    found = []
    while at < end:
        tag, length, at = raw[at], raw[at + 1], at + 2
        if length & 0x80:
            digits = length & 0x7F
            length, at = int.from_bytes(raw[at : at + digits], "big"), at + digits
        if at + length > end:
            raise IndexError(at)
        found.append((tag, at, at + length))
        at += length
    return found


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _certificates(url: str, file: str) -> list[Any]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return list(load_pem_x509_certificates(Path(file).expanduser().read_bytes()))
    except Exception as error:
        raise TimeStampError(url, f"{file} has no certificates: {error}") from error


def _client() -> Any:
    try:
        import rfc3161_client
    except ModuleNotFoundError as error:
        raise MissingExtraError("witness", "time stamps") from error
    return rfc3161_client
