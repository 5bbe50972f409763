"""The vectors in `docs/vectors`: what the page's own rules make of them, and what this library does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import SessionLog, from_json
from strands_session_log.keys import tags
from support import vectors
from support.clients import Client

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
VECTORS: dict[str, Any] = json.loads(vectors.FILE.read_text())
SESSIONS: list[dict[str, Any]] = VECTORS["sessions"]
by_session = pytest.mark.parametrize("session", SESSIONS, ids=lambda one: one["session"])


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The Python of the page, which knows nothing of this library."""
    scope: dict[str, Any] = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), scope)
    return scope


def text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def as_bytes(fields: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in fields.items()}


def test_the_library_writes_the_vectors_as_they_stand_there() -> None:
    assert vectors.text() == vectors.FILE.read_text(), "run python tests/support/vectors.py, if the format has changed"


@by_session
def test_the_verifier_on_the_page_comes_to_the_link_in_the_head(page: dict[str, Any], session: dict[str, Any]) -> None:
    entries = [(id_.encode(), as_bytes(fields)) for id_, fields in session["entries"]]
    assert text_of(page["last_link"](entries, session["root"])) == session["head"]["link"]


@by_session
def test_the_tags_on_the_page_lead_to_the_keys(page: dict[str, Any], session: dict[str, Any]) -> None:
    tag = page["tag"](session["session"], VECTORS["partitions"])
    assert session["events_key"] == f"strands:{{{tag}}}:session:{session['session']}:events"
    for partitions in (1, 3, 16, 1000):
        found = {page["tag"](f"session {number}", partitions) for number in range(40)}
        assert found <= set(tags(partitions))
    assert VECTORS["tags"]["3"] == list(tags(3))


def test_what_was_erased_left_its_commitment() -> None:
    entries = dict(SESSIONS[0]["entries"])
    assert SESSIONS[0]["erased"]
    for id_, was in SESSIONS[0]["erased"].items():
        salt = base64.urlsafe_b64decode(was["salt"] + "==")
        assert entries[id_]["body"] == text_of(hashlib.sha256(salt + was["body"].encode()).digest())
        assert entries[id_]["salt"] == ""


def test_a_server_that_holds_the_vectors_is_read_and_verified(session_log: SessionLog, client: Client) -> None:
    for session in SESSIONS:
        store(client, session_log.namespace, session)
    for session in SESSIONS:
        verified = session_log.verify(session["session"])
        assert verified.ok, verified.problems
        assert verified.link == session["head"]["link"]
    erased, answer = session_log.state("s-42-other").agents["default"].messages[:2]
    assert erased.erased
    assert answer.message["content"] == [{"text": "Thank you, Zoë."}]
    (note,) = session_log.read("s-42", types="custom.note")
    read = from_json(note.event.data)
    expected = {"bytes": b"\x00\xff", "price": Decimal("19.90"), "large": 2**64, "lone": "\ud800", "at": float("inf")}
    assert read == expected


def store(client: Client, namespace: str, session: dict[str, Any]) -> None:
    """Put a session of the vectors where it belongs in a namespace."""
    events_key, head_key = (
        session[key].replace("strands", namespace, 1).encode() for key in ("events_key", "head_key")
    )
    for id_, fields in session["entries"]:
        client.xadd(events_key, as_bytes(fields), id=id_)
    client.hset(head_key, mapping=as_bytes(session["head"]))
    directory = events_key.partition(b":session:")[0] + b":sessions"
    client.zadd(directory, {session["session"]: int(session["head"]["ms"])})
