"""Bringing sessions back from a bundle: to the byte, at once or not at all, and never what was erased or deleted."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from strands_session_log import Envelope, SessionLog, Subscriber, events
from strands_session_log.errors import BundleError, BundleNotIntactError, ImportRefusedError, SessionHeldError
from strands_session_log.event_log.reader import fetch
from strands_session_log.feed import envelope
from support.bundles import Bundle, bundle_of, rewritten
from support.command_line import message
from support.tampering import entries_of


@pytest.fixture
def elsewhere(server_url: str, new_namespace: Callable[[], str]) -> Iterator[SessionLog]:
    """An empty log in another namespace, of another number of partitions."""
    with SessionLog.connect(server_url, new_namespace(), partitions=4) as log:
        yield log


def restored(log: SessionLog, bundle: Bundle, **options: Any) -> list[tuple[str, str]]:
    return [(one.session_id, one.outcome) for one in log.import_(io.BytesIO(bundle.data), **options)]


def head_of(log: SessionLog, session_id: str) -> Any:
    return log.client.execute_command("HGETALL", log._events.keyspace.session(session_id).head)


def verified(log: SessionLog) -> list[str]:
    """All that is wrong in a log, feeds and all."""
    return [problem for one in log.verify_all(feed=True) for problem in one.verification.problems]


def envelopes(log: SessionLog) -> list[Envelope]:
    """All that the feeds of a log tell."""
    keyspace, found = log._events.keyspace, list[Envelope]()
    for partition in range(log.partitions):
        for entry_id, fields in fetch(log._events.store, keyspace.feed(partition), "-", "+", 1000):
            found.append(envelope(keyspace, partition, entry_id, fields))
    return found


def test_a_session_is_as_it_was_to_the_byte(talk: SessionLog, elsewhere: SessionLog) -> None:
    talk.erase("s-42", 4, "asked to")
    assert restored(elsewhere, bundle_of(talk, "s-42")) == [("s-42", "imported")]
    assert entries_of(elsewhere, "s-42") == entries_of(talk, "s-42")
    assert head_of(elsewhere, "s-42") == head_of(talk, "s-42")
    assert verified(elsewhere) == []
    assert elsewhere.state("s-42") == talk.state("s-42")
    assert [one.session_id for one in elsewhere.sessions()] == ["s-42"]


def test_odd_bodies_come_back_as_they_were(server_url: str, log: SessionLog, elsewhere: SessionLog) -> None:
    with SessionLog.connect(server_url, log.namespace, compress="zstd") as compressing:
        compressing.append("s", message(0, "user", "again " * 500))
    odd = {"text": "\ud800 \x00 \u2028 </script> 😀", "number": 10**40, "nan": float("nan"), "bytes": b"\xff"}
    log.append("s", [events.Custom("custom.odd", odd, "ägent"), message(1, "assistant", "é" * 70_000)])
    restored(elsewhere, bundle_of(log, "s"))
    assert entries_of(elsewhere) == entries_of(log)
    assert elsewhere.verify("s", feed=True).ok


def test_forks_come_after_what_they_were_made_of_and_are_known_there(talk: SessionLog, elsewhere: SessionLog) -> None:
    talk.fork("s-42", 4, "a fork", allow_unanswered=True)
    talk.append("a fork", message(2, "user", "Thanks."))
    talk.fork("a fork", 6, "another", allow_unanswered=True)
    bundle = bundle_of(talk, "another", "a fork", "s-42")
    assert [name for name, _ in restored(elsewhere, bundle)] == ["s-42", "a fork", "another"]
    for name in ("s-42", "a fork", "another"):
        assert entries_of(elsewhere, name) == entries_of(talk, name)
    assert verified(elsewhere) == []
    elsewhere.erase("s-42", 3, "everywhere")
    assert [elsewhere.event(name, 3).event.is_erased for name in ("s-42", "a fork", "another")] == [True] * 3


def test_a_parent_that_comes_back_later_knows_of_forks_that_are_there(talk: SessionLog, elsewhere: SessionLog) -> None:
    talk.fork("s-42", 4, "a fork", allow_unanswered=True)
    talk.fork("a fork", 4, "another", allow_unanswered=True)
    for names in (["another"], ["a fork"], ["s-42"]):
        restored(elsewhere, bundle_of(talk, *names))
        assert verified(elsewhere) == []
    elsewhere.erase("s-42", 3, "everywhere")
    assert [elsewhere.event(name, 3).event.is_erased for name in ("s-42", "a fork", "another")] == [True] * 3


def test_the_feed_tells_of_it_once_and_of_no_event_of_it(talk: SessionLog, elsewhere: SessionLog) -> None:
    restored(elsewhere, bundle_of(talk, "s-42"))
    (told,) = envelopes(elsewhere)
    assert (told.type, told.session_id, told.link) == ("session.imported", "s-42", talk.anchor("s-42").link)
    assert told.facts == {"revision": 6, "first": talk.event("s-42", 1).link}
    elsewhere.append("s-42", message(4, "user", "Thanks."))
    assert verified(elsewhere) == []


def test_an_agent_goes_on_from_it(talk: SessionLog, elsewhere: SessionLog) -> None:
    restored(elsewhere, bundle_of(talk, "s-42"))
    last = elsewhere.append("s-42", message(4, "user", "Thanks."))
    assert last.revision == 7
    assert len(elsewhere.state("s-42").agents["default"].messages) == 5


def test_what_is_there_already_is_skipped_also_when_it_went_on(talk: SessionLog) -> None:
    bundle = bundle_of(talk, "s-42")
    assert restored(talk, bundle) == [("s-42", "skipped")]
    talk.append("s-42", message(4, "user", "Thanks."))
    assert restored(talk, bundle) == [("s-42", "skipped")]
    assert talk.head("s-42").revision == 7


def test_another_history_under_the_id_is_left_alone(talk: SessionLog, elsewhere: SessionLog) -> None:
    elsewhere.append("s-42", message(0, "user", "Mine."))
    with pytest.raises(ImportRefusedError, match="newest first"):
        restored(elsewhere, bundle_of(talk, "s-42"))
    elsewhere.append("s-42", [message(number, "user", "Mine.") for number in range(1, 9)])
    with pytest.raises(ImportRefusedError, match="another history"):
        restored(elsewhere, bundle_of(talk, "s-42"))
    assert elsewhere.head("s-42").revision == 9


def test_a_session_that_was_deleted_since_does_not_come_back(talk: SessionLog) -> None:
    bundle = bundle_of(talk, "s-42")
    talk.delete("s-42", reason="asked to", by="ada")
    with pytest.raises(ImportRefusedError, match=r"deleted here at .* by ada, because asked to") as caught:
        restored(talk, bundle)
    assert caught.value.session_id == "s-42"
    assert list(talk.sessions()) == []
    talk.reduce_tombstone("s-42")
    with pytest.raises(ImportRefusedError, match="deleted here"):
        restored(talk, bundle)


def test_nothing_is_written_if_one_is_refused_unless_the_others_are_wanted(
    talk: SessionLog, elsewhere: SessionLog
) -> None:
    talk.append("other", message(0, "user", "Hello"))
    elsewhere.append("other", message(0, "user", "Mine."))
    bundle = bundle_of(talk, "s-42", "other")
    with pytest.raises(ImportRefusedError, match="'other'"):
        restored(elsewhere, bundle)
    assert [one.session_id for one in elsewhere.sessions()] == ["other"]
    assert sorted(restored(elsewhere, bundle, skip_refused=True)) == [("other", "conflict"), ("s-42", "imported")]


def test_only_the_sessions_that_are_wanted_come_back(talk: SessionLog, elsewhere: SessionLog) -> None:
    talk.append("other", message(0, "user", "Hello"))
    bundle = bundle_of(talk)
    assert restored(elsewhere, bundle, sessions=["other"]) == [("other", "imported")]
    with pytest.raises(BundleNotIntactError, match="no session 'nobody'"):
        restored(elsewhere, bundle, sessions=["nobody"])


def test_a_dry_run_writes_nothing(talk: SessionLog, elsewhere: SessionLog) -> None:
    assert restored(elsewhere, bundle_of(talk, "s-42"), dry_run=True) == [("s-42", "imported")]
    assert list(elsewhere.sessions()) == []
    assert envelopes(elsewhere) == []


def test_withheld_content_is_refused(talk: SessionLog, elsewhere: SessionLog) -> None:
    with pytest.raises(ImportRefusedError, match="3 of its events is not in the bundle"):
        restored(elsewhere, bundle_of(talk, "s-42", after=3))


def test_a_damaged_bundle_is_refused_with_the_place(talk: SessionLog, elsewhere: SessionLog) -> None:
    bundle = bundle_of(talk, "s-42")

    def change(members: dict[str, bytes]) -> None:
        name = "sessions/0001/events.jsonl"
        members[name] = members[name].replace(b"light jacket", b"heavy jacket")

    with pytest.raises(BundleNotIntactError, match="session 's-42'") as caught:
        elsewhere.import_(io.BytesIO(rewritten(bundle, change)))
    assert (caught.value.session_id, caught.value.revision) == ("s-42", 6)
    with pytest.raises(BundleError):
        elsewhere.import_(io.BytesIO(bundle.data[: len(bundle.data) // 2]))
    assert list(elsewhere.sessions()) == []


def test_content_erased_in_the_session_it_was_forked_from_does_not_come_back(
    talk: SessionLog, elsewhere: SessionLog
) -> None:
    talk.fork("s-42", 4, "a fork", allow_unanswered=True)
    talk.append("a fork", message(2, "user", "Thanks."))
    fork = bundle_of(talk, "a fork")
    restored(elsewhere, bundle_of(talk, "s-42"))
    elsewhere.erase("s-42", 3, "asked to", by="ada")

    (found,) = elsewhere.import_(io.BytesIO(fork.data))
    assert (found.outcome, found.erased) == ("imported", 1)
    last = list(elsewhere.read("a fork"))[-1].event
    assert (last.type, last.data["reason"], last.data["by"]) == ("payload.erased", "asked to", "ada")
    assert elsewhere.event("a fork", 3).event.is_erased
    assert "pack" not in str(entries_of(elsewhere, "a fork"))
    assert verified(elsewhere) == []


def test_earlier_lives_of_the_id_come_back_with_it(talk: SessionLog, elsewhere: SessionLog) -> None:
    before = bundle_of(talk, "s-42")
    talk.delete("s-42", by="ada")
    talk.append("s-42", message(0, "user", "Anew."))
    restored(elsewhere, bundle_of(talk, "s-42"))
    assert [(life.by, life.revision) for life in elsewhere.tombstones("s-42")] == [("ada", 6)]
    assert verified(elsewhere) == []
    assert head_of(elsewhere, "s-42") == head_of(talk, "s-42")
    elsewhere.delete("s-42")
    with pytest.raises(ImportRefusedError, match="by ada"):
        restored(elsewhere, before)


def test_an_id_that_was_another_session_here_can_be_brought_back(talk: SessionLog, elsewhere: SessionLog) -> None:
    elsewhere.append("s-42", message(0, "user", "Another."))
    elsewhere.delete("s-42")
    assert restored(elsewhere, bundle_of(talk, "s-42")) == [("s-42", "imported")]
    assert verified(elsewhere) == []
    elsewhere.append("s-42", message(4, "user", "Thanks."))
    elsewhere.delete("s-42")
    elsewhere.append("s-42", message(0, "user", "Anew."))
    assert verified(elsewhere) == []


def test_a_fork_under_an_id_used_before_is_told_from_the_one_that_was_deleted(
    talk: SessionLog, elsewhere: SessionLog
) -> None:
    """Forks of one session begin with the same event, so that alone does not tell which of them was deleted."""
    talk.fork("s-42", 4, "a fork", allow_unanswered=True)
    talk.append("a fork", message(2, "user", "The first."))
    first = bundle_of(talk, "a fork")
    talk.delete("a fork")
    talk.fork("s-42", 4, "a fork", allow_unanswered=True)
    talk.append("a fork", message(2, "user", "The second."))
    second = bundle_of(talk, "a fork")
    assert restored(elsewhere, second) == [("a fork", "imported")]
    talk.client.execute_command("DEL", *talk._events.keyspace.session("a fork")[:2])
    assert restored(talk, second) == [("a fork", "imported")]
    elsewhere.delete("a fork")
    with pytest.raises(ImportRefusedError, match="deleted here"):
        restored(elsewhere, first)


def test_a_session_that_is_held_comes_back_held(talk: SessionLog, elsewhere: SessionLog) -> None:
    talk.retention.hold("s-42", reason="a lawsuit", by="ada")
    restored(elsewhere, bundle_of(talk, "s-42"))
    with pytest.raises(SessionHeldError):
        elsewhere.delete("s-42")
    assert head_of(elsewhere, "s-42") == head_of(talk, "s-42")
    assert verified(elsewhere) == []
    elsewhere.retention.release("s-42", reason="settled", by="ada")
    elsewhere.delete("s-42")


def test_a_subscriber_is_told_that_it_was_imported_and_gets_no_content_of_it(
    talk: SessionLog, elsewhere: SessionLog
) -> None:
    restored(elsewhere, bundle_of(talk, "s-42"))
    elsewhere.append("s-42", message(4, "user", "Thanks."))
    with Subscriber(elsewhere, "audit", bodies=True) as deliveries:
        first, second = islice(deliveries, 2)
        assert (first.envelope.type, first.event) == ("session.imported", None)
        assert (second.envelope.type, second.id.revision) == ("message.added", 7)
