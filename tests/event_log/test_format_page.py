"""The verifier on the page about the format, run as it stands there: it knows nothing of this library."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from strands_session_log import SessionLog, events
from support.clients import Client
from support.command_line import write_session

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
COVERED = (b"type", b"agent", b"event", b"time", b"v", b"trace", b"base", b"retained", b"salt", b"link", b"body")

Entries = list[tuple[bytes, dict[bytes, bytes]]]
LastLink = Callable[[Entries, str], bytes]


class Stored(NamedTuple):
    """A session as any client reads it.

    Attributes:
        entries: What XRANGE gives.
        root: The session id that the chain begins with.
        link: The head's.
    """

    entries: Entries
    root: str
    link: bytes


def stored(client: Client, namespace: str, session_id: str) -> Stored:
    """Read a session under the keys that the page names."""
    tags = re.findall(r"For 16 partitions the tags are `([\d ]+)`", PAGE)[0].split()
    key = f"{namespace}:{{{tags[zlib.crc32(session_id.encode()) % 16]}}}:session:{session_id}"
    head = client.hgetall(f"{key}:head")
    return Stored(client.xrange(f"{key}:events"), head.get(b"root", session_id.encode()).decode(), head[b"link"])


@pytest.fixture(scope="module")
def last_link() -> LastLink:
    """The page's verifier."""
    scope: dict[str, Any] = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), scope)
    found: LastLink = scope["last_link"]
    return found


@pytest.fixture
def sessions(session_log: SessionLog, client: Client) -> dict[str, Stored]:
    """One with batches and an erasure, and a fork of it that went on and has one of its own."""
    write_session(session_log)
    session_log.append("s-42", [events.Custom("custom.note", {"text": text}) for text in ("one", "two", "three")])
    session_log.append("s-42", [events.Custom("custom.note", {"text": text}) for text in ("four", "five")])
    session_log.erase("s-42", 8, "asked for")
    session_log.fork("s-42", 10, "s-43")
    session_log.append("s-43", [events.Custom("custom.note", {"text": text}) for text in ("six", "seven")])
    session_log.erase("s-43", 4, "asked for")
    return {id_: stored(client, session_log.namespace, id_) for id_ in ("s-42", "s-43")}


def changed(entries: Entries, number: int, field: bytes) -> Entries:
    """The same with another byte in one field of one entry."""
    id_, fields = entries[number]
    value = fields[field]
    other = bytes([value[0] ^ 1]) + value[1:] if value else b"x"
    return [*entries[:number], (id_, {**fields, field: other}), *entries[number + 1 :]]


def later(entries: Entries, number: int) -> Entries:
    """The same with one entry a millisecond later."""
    ms, _, revision = entries[number][0].partition(b"-")
    return [*entries[:number], (b"%d-%s" % (int(ms) + 1, revision), entries[number][1]), *entries[number + 1 :]]


def test_the_verifier_on_the_page_accepts_batches_erasures_and_forks(
    sessions: dict[str, Stored], last_link: LastLink
) -> None:
    for entries, root, link in sessions.values():
        assert b"" in [fields[b"salt"] for _, fields in entries]
        assert root == "s-42"
        assert base64.urlsafe_b64encode(last_link(entries, root)).rstrip(b"=") == link


def test_the_verifier_on_the_page_finds_one_changed_byte_wherever_it_is(
    sessions: dict[str, Stored], last_link: LastLink
) -> None:
    for entries, root, _ in sessions.values():
        for number in range(len(entries)):
            for field in COVERED:
                with pytest.raises(ValueError, match=r"is not what was written|base64"):
                    last_link(changed(entries, number, field), root)


def test_the_verifier_on_the_page_finds_a_lost_entry_another_root_and_another_time(
    sessions: dict[str, Stored], last_link: LastLink
) -> None:
    for entries, root, link in sessions.values():
        for number in range(len(entries) - 1):
            for forged in (entries[:number] + entries[number + 1 :], later(entries, number)):
                with pytest.raises(ValueError, match="is not what was written"):
                    last_link(forged, root)
        with pytest.raises(ValueError, match="is not what was written"):
            last_link(entries, "another")
        assert base64.urlsafe_b64encode(last_link(later(entries, len(entries) - 1), root)).rstrip(b"=") == link, (
            "only the time of the last batch is open"
        )
