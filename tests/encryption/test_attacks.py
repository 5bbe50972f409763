"""Who may write to the server, and has no key, cannot put content in another place, even with a chain made anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from strands_session_log import LocalKeys, SessionLog, Subscriber, chain, errors
from support.clients import client_of
from support.tampering import Fields, entries_of, forge_all, put, rechained, tamper

from .conftest import Opened
from .helpers import SECRET, begin, message, note, texts

Entries = list[tuple[str, Fields]]
Forge = Callable[[Entries], Entries]


def swapped_bodies(entries: Entries) -> Entries:
    """Two messages of one session change places, salts and all."""
    (third, one), (fourth, other) = entries[2:4]
    parts = ("salt", "body")
    one, other = ({**a, **{name: b[name] for name in parts}} for a, b in ((one, other), (other, one)))
    return [*entries[:2], (third, one), (fourth, other)]


def changed(**fields: bytes) -> Forge:
    """The last message says something else about itself in the clear."""

    def forge(entries: Entries) -> Entries:
        id_, last = entries[-1]
        return [*entries[:-1], (id_, {**last, **fields})]

    return forge


def without_the_third(entries: Entries) -> Entries:
    """A message is taken out, and what follows moves up."""
    left = [*entries[:2], *entries[3:]]
    return [(f"{id_.partition('-')[0]}-{number}", fields) for number, (id_, fields) in enumerate(left, 1)]


def cut_in_half(entries: Entries) -> Entries:
    id_, last = entries[-1]
    return [*entries[:-1], (id_, {**last, "body": last["body"][: len(last["body"]) // 2]})]


def one_bit(entries: Entries) -> Entries:
    id_, last = entries[-1]
    body = bytearray(last["body"])
    body[-20] ^= 1
    return [*entries[:-1], (id_, {**last, "body": bytes(body)})]


def an_erasure_that_was_none(entries: Entries) -> Entries:
    """A message in the middle is passed off as erased."""
    id_, third = entries[2]
    commitment = chain.to_text(chain.commitment(chain.from_text(third["salt"]), third["body"]))
    return [*entries[:2], (id_, {**third, "salt": b"", "body": commitment}), *entries[3:]]


def a_forgery_in_clear(entries: Entries) -> Entries:
    """A message in the middle says what was never said, in the clear: for that no key is needed."""
    id_, third = entries[2]
    body = b'{"message":{"role":"user","content":[{"text":"forged"}]}}'
    return [*entries[:2], (id_, {**third, "body": body}), *entries[3:]]


def another_history(entries: Entries) -> Entries:
    """Only the salt of the first event is another: all links are, and nothing else."""
    id_, first = entries[0]
    return [(id_, {**first, "salt": chain.to_text(chain.new_salt())}), *entries[1:]]


FORGERIES: dict[str, Forge] = {
    "bodies swapped": swapped_bodies,
    "type": changed(type=b"message.updated"),
    "agent": changed(agent=b"b"),
    "event id": changed(event=b"01a22a4e-f0ce-7851-9a73-7db8c4d9dc84"),
    "time": changed(time=b"2020-01-01T00:00:00+00:00"),
    "index and role": changed(retained=b'[7,"user"]'),
    "moved up": without_the_third,
    "cut": cut_in_half,
    "a bit": one_bit,
    "passed off as erased": an_erasure_that_was_none,
    "forged in clear": a_forgery_in_clear,
    "another history": another_history,
}


@pytest.fixture
def session(encrypted: SessionLog) -> SessionLog:
    begin(encrypted)
    return encrypted


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_rewritten_history_is_found_by_who_has_the_key(session: SessionLog, forgery: str) -> None:
    forge_all(session, FORGERIES[forgery](entries_of(session)))
    assert any("event" in problem for problem in session.verify("s").problems)
    if forgery == "passed off as erased":
        # Its links are those that were there: what is missing is who erased it.
        events = session.read_checked("s")
        assert [one.event.is_erased for one in events] == [False, False, True, False]
        assert events.integrity.is_broken
        return
    with pytest.raises(errors.CorruptEntryError):
        session.state("s")


def test_an_untouched_one_never_alarms(session: SessionLog) -> None:
    forge_all(session, entries_of(session))
    assert session.verify("s").ok
    assert session.state("s").agents["a"].state == {"known": SECRET}


def test_content_of_one_session_opens_in_no_other(session: SessionLog) -> None:
    begin(session, "other")
    forge_all(session, entries_of(session, "other"))
    with pytest.raises(errors.KeyMissingError):
        session.state("s")
    client_of(session).hset(session._events.keyspace.session("s").head, "root", "other")
    with pytest.raises(errors.CiphertextError):
        session.state("s")


def test_content_of_one_fork_opens_in_another_only_where_they_share_it(session: SessionLog) -> None:
    for name in ("one", "two"):
        session.fork("s", 3, name)
        session.append(name, message(1, f"said in {name}"))
    keys = session._events.keyspace.session("one").events
    put(session, keys, rechained([*entries_of(session, "one")[:4], entries_of(session, "two")[4]]))
    with pytest.raises(errors.CiphertextError, match="was not written for this place"):
        session.state("one")


def test_a_snapshot_of_one_point_is_taken_at_no_other(session: SessionLog) -> None:
    cipher, name = session._events.cipher, b"snapshot"
    sealed = cipher.seal("s", name, [b"point:1-1"], b"{}")
    assert cipher.open("s", name, [b"point:1-1"], sealed) == b"{}"
    for session_id, part in (("s", b"point:1-2"), ("t", b"point:1-1")):
        with pytest.raises(errors.EncryptionError):
            cipher.open(session_id, name, [part], sealed)


def test_forged_content_is_parked_and_nobody_handles_it(session: SessionLog) -> None:
    tamper(session, 4, lambda fields: {**fields, "body": one_bit([("", fields)])[0][1]["body"]})
    handled = []
    with Subscriber(session, "g", bodies=True) as deliveries:
        session.append("s", note("the end"))
        for delivery in deliveries:
            handled.append(delivery.id.revision)
            delivery.ack()
            if delivery.envelope.type == "custom.note":
                break
    assert handled == [1, 2, 3, 5]
    (parked,) = session.parked("g")
    assert "was changed" in parked.error


def test_a_session_that_no_longer_says_that_it_is_encrypted_is_told(session: SessionLog, opened: Opened) -> None:
    plain = opened(None)
    client_of(session).hdel(session._events.keyspace.session("s").head, "sealed")
    plain.append("s", message(2, "in the clear"))
    problems = plain.verify("s").problems
    assert any("is not encrypted, though event" in problem for problem in problems)
    assert any("the session's head says that its key is that of ''" in problem for problem in problems)
    with pytest.raises(errors.CorruptEntryError, match="is not encrypted"):
        session.state("s")


def test_what_was_erased_stays_explained(session: SessionLog, keys: LocalKeys) -> None:
    session.erase("s", 3, "asked to")
    session.append("s", message(2, "later"))
    assert session.verify("s").ok
    assert texts(session) == [f"{SECRET} again", "later"]
