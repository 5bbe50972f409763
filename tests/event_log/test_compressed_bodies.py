"""Bodies may be compressed: nobody has to be told, and whatever is done with a session can be done with it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.codec import compressed, text_of
from strands_session_log.codec.bodies import MARK, MOST_BYTES
from strands_session_log.errors import CorruptEntryError
from strands_session_log.snapshot.blobs import compress
from support.clients import Client
from support.strands_agents import make_agent

LONG = "A word, and another one. " * 40


@pytest.fixture
def small(client: Client, session_log: SessionLog) -> SessionLog:
    """A log of the same namespace that compresses."""
    return SessionLog(client, session_log.namespace, compress="zstd")


def note(text: str = LONG) -> events.Event:
    return events.Custom("custom.note", {"text": text})


def bodies(log: SessionLog, session: str = "s") -> list[bytes]:
    return [fields[b"body"] for _, fields in log._events.entries(session)]


@given(st.binary(max_size=300) | st.binary(max_size=20).map(lambda part: part * 50))
def test_what_was_compressed_comes_back_and_is_never_longer(text: bytes) -> None:
    body = compressed(b"{" + text)
    assert text_of(body) == b"{" + text
    assert len(body) <= len(text) + 1


def test_a_stream_may_have_both_kinds_of_bodies_and_any_log_reads_both(
    session_log: SessionLog, small: SessionLog
) -> None:
    for number, log in enumerate((session_log, small, session_log, small)):
        log.append("s", note(f"{number} {LONG}"))
    assert [body.startswith(MARK) for body in bodies(session_log)] == [False, True, False, True]
    for log in (session_log, small):
        assert [one.event.data["text"][0] for one in log.read("s")] == ["0", "1", "2", "3"]
        assert log.verify("s").ok


def test_a_body_that_would_be_no_shorter_stays_text(small: SessionLog) -> None:
    small.append("s", note("short"))
    assert bodies(small) == [b'{"text":"short"}']


def test_a_message_takes_half_the_bytes(session_log: SessionLog, small: SessionLog) -> None:
    session_log.append("s", note())
    small.append("t", note())
    assert len(bodies(small, "t")[0]) * 2 < len(bodies(session_log)[0])


def test_an_agent_talks_resumes_forks_and_is_erased_as_ever(small: SessionLog) -> None:
    agent = make_agent(small, [LONG, f"{LONG} again"])
    agent(f"My secret. {LONG}")
    agent("And now?")
    assert any(body.startswith(MARK) for body in bodies(small))
    assert make_agent(small).messages == agent.messages
    assert small.fork("s", None, "fork")
    small.erase("s", next(small.read("s", types="message.added")).id, reason="secret")
    assert "My secret" not in str(list(small.read("s"))) + str(list(small.read("fork")))
    assert small.verify("s").ok
    assert small.verify("fork").ok


def test_a_subscription_delivers_the_events_themselves(small: SessionLog) -> None:
    small.append("s", [note(f"{number} {LONG}") for number in range(3)])
    given = []
    with Subscriber(small, "audit", start="beginning", bodies=True) as deliveries:
        for delivery in deliveries:
            event = delivery.event
            given.append(event.data["text"][0] if event else "")
            delivery.ack()
            if len(given) == 3:
                break
    assert given == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (compress(b"[" * (MOST_BYTES + 1)), "compressed from more than"),
        (MARK + b"no frame", "cannot be decompressed"),
        (compress(b"{}")[:-1], "ends too early or too late"),
        (compress(b"{}") + b"more", "ends too early or too late"),
    ],
    ids=["bomb", "no frame", "cut", "longer"],
)
def test_a_body_that_no_writer_compresses_is_refused(session_log: SessionLog, body: bytes, reason: str) -> None:
    session_log.append("s", note())
    key = session_log._events.keyspace.session("s").events
    ((id_, fields),) = session_log._events.entries("s")
    client: Any = session_log.client
    client.delete(key)
    client.xadd(key, {**fields, b"body": body}, id=id_)
    with pytest.raises(CorruptEntryError, match=reason):
        list(session_log.read("s"))
    assert not session_log.verify("s").ok


def test_copies_of_an_erased_message_are_found_in_compressed_bodies(session_log: SessionLog) -> None:
    with SessionLog(session_log.client, session_log.namespace, compress="zstd") as log:
        said = {"role": "user", "content": [{"text": "the secret of the house " * 40}]}
        message = {"message": said, "message_id": 0}
        id_ = log.append("s", events.MessageAdded(message, "a"))
        window = {"items": [{"message": said}], "removed": 0, "next": 1}
        copy = log.append("s", events.WindowChanged(window, "a"))
        bodies = [entry[1][b"body"] for entry in log._events.entries("s")]
        assert all(body.startswith(b"\x28\xb5\x2f\xfd") for body in bodies)

        assert set(log.plan_erasure("s", id_).erased["s"]) == {id_, copy}
        log.erase("s", id_, reason="why")
        assert [one.event.is_erased for one in log.read("s", until=copy)] == [True, True]
