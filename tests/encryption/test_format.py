"""What docs/format.md says of encrypted content, in a few lines that know nothing of this library."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strands_session_log import SessionLog

from .helpers import begin

VECTORS = json.loads((Path(__file__).parents[2] / "docs" / "vectors" / "encryption.json").read_text())
BOUND = ("base", "type", "agent", "event", "time", "v", "trace", "retained")


def opened(entry: dict[str, Any], body: bytes, root: str, key: bytes) -> tuple[bytes, bytes]:
    """The link of the event before, and the body that would stand there."""
    assert body[:5] == b"\x9eSLE\x01"
    parts = [root, entry["id"].split("-")[1], *(entry[name] for name in BOUND)]
    bound = b"strands-session-log body 1 " + b"".join(b"%d:%b" % (len(p.encode()), p.encode()) for p in parts)
    text = AESGCM(key).decrypt(body[21:33], body[33:], bound)
    return text[:32], text[32:]


@pytest.mark.parametrize("name", VECTORS["sessions"])
def test_the_vectors_open_as_the_page_says(name: str) -> None:
    session, key = VECTORS["sessions"][name], bytes.fromhex(VECTORS["key"])
    before = hashlib.sha256(session["root"].encode()).digest()
    for entry in session["entries"]:
        body = base64.b64decode(entry["body_base64"])
        assert body[5:21].hex() == VECTORS["key_id"]
        link, holds = opened(entry, body, session["root"], key)
        assert (link, base64.b64encode(holds).decode()) == (before, entry["holds_base64"])
        before = base64.urlsafe_b64decode(entry["link"] + "==")


def test_what_is_written_has_the_layout_of_the_vectors(encrypted: SessionLog) -> None:
    begin(encrypted)
    for _, fields in encrypted._events.entries("s"):
        assert bytes(fields[b"body"]).startswith(b"\x9eSLE\x01")
    assert encrypted._events.store.fields(encrypted._events.keyspace.session("s").head, "sealed") == [b"s"]
