"""A person's answer, on its way to the application that asked."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import orjson

_SECONDS: Final = 10.0
SIGNATURE: Final = "X-Session-Log-Signature"


class AnswerNotSentError(Exception):
    """The application did not take an answer; says why in a sentence."""


@dataclass(frozen=True)
class PersonsAnswer:
    """What is sent.

    Attributes:
        session_id: The session.
        agent: Who asked.
        interrupt_id: By which it is answered.
        name: What it is called.
        answer: The answer: any JSON value.
        person: Who gives it.
        revision: How many events the session had when the person saw it.
        link: The link of the last of them.
    """

    session_id: str
    agent: str
    interrupt_id: str
    name: str
    answer: Any
    person: str
    revision: int
    link: str

    @property
    def key(self) -> str:
        """The same for the same answer to the same question by the same person, however often it is sent."""
        parts = [self.session_id, self.interrupt_id, self.person, self.answer]
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


class AnswerSender:
    """Sends answers to the application.

    Args:
        url: Where to.
        secret: With which they are signed; empty to sign nothing.
    """

    def __init__(self, url: str, secret: str = "") -> None:
        self._url, self._secret = url, secret
        self._opener = build_opener(_NoRedirects)

    def send(self, answer: PersonsAnswer) -> None:
        """Send one, and wait until it is taken.

        Raises:
            AnswerNotSentError: When it was not.
        """
        body = orjson.dumps(asdict(answer))
        headers = {"Content-Type": "application/json", "Idempotency-Key": answer.key, **self._signed(body)}
        request = Request(self._url, body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=_SECONDS):
                pass
        except HTTPError as error:
            error.close()
            raise AnswerNotSentError(f"the application refused it: {error.code} {error.reason}") from error
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise AnswerNotSentError(f"the application cannot be reached: {reason}") from error

    def _signed(self, body: bytes) -> Mapping[str, str]:
        """`t=<seconds>,v1=<HMAC-SHA256 of "t.body">`: who takes it can refuse what is old."""
        if not self._secret:
            return {}
        now = str(int(time.time()))
        proof = hmac.new(self._secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        return {SIGNATURE: f"t={now},v1={proof}"}


class _NoRedirects(HTTPRedirectHandler):
    """An answer goes where the operator said, and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none: it is told as what it is."""
