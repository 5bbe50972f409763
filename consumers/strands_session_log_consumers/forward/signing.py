"""Signatures of the Standard Webhooks specification, by which a receiver knows who sent, what, and when."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

from strands_session_log.errors import InvalidSettingError
from strands_session_log.exports.cloudevents import CloudEvent

PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


class WebhookSigner:
    """Signs with each of its secrets, so that a receiver may still know only the old one.

    Args:
        secrets: As text, `whsec_` and base64; none to sign nothing.

    Raises:
        InvalidSettingError: When one is none.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [_key(secret) for secret in secrets]

    @classmethod
    def of_file(cls, path: str) -> WebhookSigner:
        """That of the secrets in a file, one a line.

        Raises:
            InvalidSettingError: When there are none, or one is none.
        """
        try:
            lines = Path(path).read_text("ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSettingError("secret-file", path, f"it cannot be read: {type(error).__name__}") from error
        if not lines:
            raise InvalidSettingError(
                "secret-file", path, "it is empty: put a secret a line into it, whsec_ and base64"
            )
        return cls(lines)

    def headers(self, event: CloudEvent, body: bytes, now: int) -> dict[str, str]:
        """The headers of one attempt.

        Args:
            event: What is sent.
            body: As it is sent.
            now: When, in seconds since the epoch.
        """
        id_ = webhook_id(event)
        signed = b".".join((id_.encode(), str(now).encode(), body))
        found = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in self._keys]
        signature = {"webhook-signature": " ".join(f"v1,{one}" for one in found)} if found else {}
        return {"webhook-id": id_, "webhook-timestamp": str(now), **signature}


def webhook_id(event: CloudEvent) -> str:
    """The same for each attempt, and for no other event: also where a failover gave its id to another one."""
    named = "\n".join((event["source"], event["id"], event["link"]))
    return f"evt_{hashlib.sha256(named.encode()).hexdigest()[:40]}"


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not (secret.startswith(PREFIX) and _SHORTEST <= len(key) <= _LONGEST):
        cure = (
            f"a secret is whsec_ and base64 of {_SHORTEST} to {_LONGEST} bytes: echo whsec_$(openssl rand -base64 32)"
        )
        raise InvalidSettingError("secret", "(not shown)", cure)
    return key
