"""Who takes the events, over HTTP; and what their answers mean."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from importlib.metadata import version
from types import TracebackType

from strands_session_log.errors import MissingExtraError
from strands_session_log.exports.cloudevents import CloudEvent, http_structured

from .signing import WebhookSigner

try:
    import httpx
    from anyio import fail_after
except ModuleNotFoundError as error:
    if error.name not in ("httpx", "anyio"):
        raise
    raise MissingExtraError("forward", "forwarding events") from error

_MOST_READ = 64 * 1024
"""Bytes of an answer that are read, so that the connection can be used again."""
_OF_THE_RECEIVER = {401, 403, 404, 407, 408, 425, 429}
"""What is said of who asks, or when, not of what was sent; and all from 500 on."""
_GONE = 410
_LONGEST_WISH = 3_600.0


class Verdict(str, Enum):
    """What an answer means."""

    TAKEN = "taken"
    REFUSED = "refused"
    AWAY = "away"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt.

    Attributes:
        verdict: What it means.
        why: The status, or what went wrong; nothing that the receiver has written.
        retry_after: For how many seconds the receiver wants to be left alone, if it says so.
    """

    verdict: Verdict
    why: str
    retry_after: float = 0.0


class Receiver:
    """Sends to one URL. An async context manager.

    Args:
        url: Where to.
        signer: Signs what is sent.
        timeout: Seconds in which the whole answer has to come.
    """

    def __init__(self, url: str, signer: WebhookSigner, timeout: float) -> None:
        self._url, self._signer, self._timeout = url, signer, timeout
        agent = f"strands-session-log/{version('strands-session-log')}"
        # A redirect is no answer: what is meant for one receiver is not for another.
        self._client = httpx.AsyncClient(timeout=timeout, headers={"user-agent": agent}, follow_redirects=False)

    async def __aenter__(self) -> Receiver:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def post(self, event: CloudEvent) -> Answer:
        """Send an event once."""
        headers, body = http_structured(event)
        signed = {**headers, **self._signer.headers(event, body, int(time.time()))}
        try:
            # Besides that of httpx, which a receiver that answers byte by byte never meets.
            with fail_after(self._timeout):
                return await self._answer(signed, body)
        except (TimeoutError, httpx.TimeoutException):
            return Answer(Verdict.AWAY, f"no answer within {self._timeout:g} s")
        except httpx.HTTPError as error:
            return Answer(Verdict.AWAY, type(error).__name__)

    async def _answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        async with self._client.stream("POST", self._url, headers=dict(headers), content=body) as response:
            read = 0
            async for piece in response.aiter_raw():
                read += len(piece)
                if read > _MOST_READ:
                    break
        return answer_of(response.status_code, response.headers.get("retry-after", ""))


def answer_of(status: int, retry_after: str = "") -> Answer:
    """What a status means, and when the receiver wants to be asked again."""
    why = f"HTTP status {status}"
    if 200 <= status < 300:
        return Answer(Verdict.TAKEN, why)
    if status == _GONE:
        return Answer(Verdict.GONE, why)
    if status >= 500 or status in _OF_THE_RECEIVER:
        return Answer(Verdict.AWAY, why, min(_seconds(retry_after), _LONGEST_WISH))
    return Answer(Verdict.REFUSED, why)


def _seconds(text: str) -> float:
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    when = found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
