"""An index of what was said is in step with the log: it finds what stands there, and nothing of what does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from strands_session_log import LocalKeys, SessionLog, events
from strands_session_log_consumers.search import (
    Indexer,
    InvalidQueryError,
    SearchFilter,
    SearchStore,
    find,
    said_in,
)
from support.command_line import CALL, RESULT, message
from support.waiting import wait_until


def say(log: SessionLog, session_id: str, number: int, *texts: Any, agent: str = "default") -> Any:
    """Say something, and wait for the next millisecond: what is said within one is equally new."""
    event_id = log.append(session_id, message(number, ("user", "assistant")[number % 2], *texts, agent=agent))
    wait_until(lambda: time.time() * 1000 >= event_id.ms + 1, "the next millisecond")
    return event_id


def found(index: SearchStore, query: str, **within: Any) -> list[str]:
    hits = index.search(query, SearchFilter(**within))
    return [f"{hit.session_id}/{hit.id.revision}" for hit in hits]


@contextmanager
def followed(log: SessionLog, index: SearchStore) -> Iterator[None]:
    """A service that keeps it in step."""
    stop, ready = Event(), Event()
    with Indexer(log, index) as indexer:
        thread = Thread(target=indexer.run, args=(stop, lambda summary: ready.set()))
        thread.start()
        try:
            assert ready.wait(30)
            yield
        finally:
            stop.set()
            thread.join()


def test_words_phrases_and_operators_find_what_was_said_newest_first(
    log: SessionLog, index: SearchStore, indexer: Indexer
) -> None:
    say(log, "a", 0, "A refund for Lisbon, please.")
    say(log, "b", 0, "A light jacket.")
    say(log, "a", 1, "The refund is on its way.")
    say(log, "c", 0, "Umbrellas in LÍSBON")
    summary = indexer.sync()
    assert (summary.sessions, summary.messages) == (3, 4)
    assert found(index, "refund") == ["a/2", "a/1"]
    assert found(index, "lisbon") == ["c/1", "a/1"]
    assert found(index, "lisbon AND refund") == found(index, "refund lisbon") == ["a/1"]
    assert found(index, "lisbon NOT refund") == ["c/1"]
    assert found(index, '"light jacket" OR umbrel*') == ["c/1", "b/1"]
    assert found(index, '"jacket light"') == []
    assert found(index, "(jacket OR refund) AND way") == ["a/2"]
    (hit,) = index.search("jacket")
    assert [part.text for part in hit.parts if part.is_found] == ["jacket"]
    assert hit.text == "A light jacket."


def test_calls_of_tools_and_their_results_are_searched_too(talk: SessionLog, index: SearchStore) -> None:
    with Indexer(talk, index) as indexer:
        indexer.sync()
    assert found(index, "forecast") == ["s-42/4"]
    assert found(index, "19") == ["s-42/5"]
    assert CALL["toolUse"]["toolUseId"] == RESULT["toolResult"]["toolUseId"]


def test_a_search_can_be_narrowed_to_an_agent_a_role_labels_and_a_time(
    log: SessionLog, index: SearchStore, indexer: Indexer
) -> None:
    first = say(log, "a", 0, "refund")
    say(log, "a", 1, "refund")
    last = say(log, "b", 0, "refund", agent="billing")
    log.append("b", events.SessionAnnotated({"status": "open", "tier": 2}))
    indexer.sync()
    assert found(index, "refund", agent="billing") == ["b/1"]
    assert found(index, "refund", role="assistant") == ["a/2"]
    assert found(index, "refund", session_id="a") == ["a/2", "a/1"]
    assert found(index, "refund", labels={"status": "open", "tier": "2"}) == ["b/1"]
    assert found(index, "refund", labels={"status": "closed"}) == []
    assert found(index, "refund", until_ms=first.ms - 1) == []
    assert found(index, "refund", since_ms=last.ms + 1) == []
    assert len(found(index, "refund", since_ms=first.ms, until_ms=last.ms)) == 3
    log.append("b", events.SessionAnnotated({"status": None}))
    indexer.sync()
    assert found(index, "refund", labels={"status": "open"}) == []


def test_a_page_goes_on_behind_the_cursor_of_a_hit(log: SessionLog, index: SearchStore, indexer: Indexer) -> None:
    # In one append, all have the same millisecond.
    log.append("a", [message(number, "user", "refund") for number in range(5)])
    indexer.sync()
    pages = [index.search("refund", limit=2)]
    while page := index.search("refund", limit=2, before=pages[-1][-1].cursor):
        pages.append(page)
    assert [[hit.id.revision for hit in page] for page in pages] == [[5, 4], [3, 2], [1]]
    with pytest.raises(InvalidQueryError, match="no cursor"):
        index.search("refund", before="yesterday")


@pytest.mark.parametrize(
    "query", ["", " ", "AND", "a OR", "(a", "a)", "NOT a", "a AND OR b", "!", "x" * 1001, "a " * 65]
)
def test_a_query_that_means_nothing_is_refused_in_one_line(query: str, index: SearchStore) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        index.search(query)
    assert "\n" not in str(caught.value).replace(repr(query), "")


@pytest.mark.parametrize(
    "query", ["jane@example.com", "it's", "{col}: x", "text:refund", "-5", "a^b", "NEAR(a b)", "x'; --"]
)
def test_whatever_else_is_typed_is_words(query: str, log: SessionLog, index: SearchStore, indexer: Indexer) -> None:
    say(log, "a", 0, f"so: {query}")
    indexer.sync()
    assert found(index, query) == ["a/1"]


def test_what_is_indexed_once_is_not_read_again(log: SessionLog, index: SearchStore, indexer: Indexer) -> None:
    say(log, "a", 0, "refund")
    say(log, "b", 0, "refund")
    indexer.sync()
    say(log, "b", 1, "refund")
    again = indexer.sync()
    assert (again.sessions, again.messages) == (1, 1)
    assert indexer.sync()[:3] == (0, 0, 0)
    assert found(index, "refund") == ["b/2", "b/1", "a/1"]


def test_a_message_that_is_replaced_or_redacted_is_found_by_its_new_words_only(
    log: SessionLog, index: SearchStore, indexer: Indexer, kept: Callable[[], bytes]
) -> None:
    say(log, "a", 0, "the first wording")
    say(log, "a", 1, "a secretword")
    indexer.sync()
    replaced = message(0, "user", "another wording").data
    log.append("a", events.MessageUpdated(replaced, "default"))
    said = {"role": "assistant", "content": [{"text": "[redacted]"}]}
    log.append("a", events.MessageRedacted({"message": said, "message_id": 1, "redact_message": said}, "default"))
    indexer.sync()
    assert found(index, "first") == found(index, "secretword") == []
    assert found(index, "wording") == ["a/3"]
    assert found(index, "redacted") == ["a/4"]
    assert b"secretword" not in kept()


def test_nothing_stays_where_the_index_is_kept_of_what_was_erased_or_deleted(
    log: SessionLog, index: SearchStore, indexer: Indexer, kept: Callable[[], bytes]
) -> None:
    say(log, "a", 0, "qqerased stands here")
    say(log, "a", 1, "this stays")
    say(log, "b", 0, "zzdeleted stands here")
    indexer.sync()
    assert b"qqerased" in kept()
    assert b"zzdeleted" in kept()
    log.erase("a", 1, "asked to")
    log.delete("b")
    indexer.sync()
    assert found(index, "stands") == []
    assert found(index, "stays") == ["a/2"]
    left = kept()
    assert b"qqerased" not in left
    assert b"zzdeleted" not in left


def test_a_session_that_was_begun_anew_is_indexed_anew(log: SessionLog, index: SearchStore, indexer: Indexer) -> None:
    say(log, "a", 0, "the former life")
    indexer.sync()
    log.delete("a")
    say(log, "a", 0, "the latter life")
    assert indexer.sync().removed == 1
    assert found(index, "former") == []
    assert found(index, "latter") == ["a/1"]


def test_a_service_follows_what_is_said_erased_and_deleted(
    log: SessionLog, index: SearchStore, kept: Callable[[], bytes]
) -> None:
    say(log, "a", 0, "said before")
    with followed(log, index):
        assert found(index, "before") == ["a/1"]
        say(log, "a", 1, "said qqmeanwhile")
        say(log, "b", 0, "said qqmeanwhile")
        wait_until(lambda: found(index, "qqmeanwhile") == ["b/1", "a/2"], "the index to follow")
        log.erase("a", 2, "asked to")
        wait_until(lambda: found(index, "qqmeanwhile") == ["b/1"], "the index to follow")
        log.delete("b")
        wait_until(lambda: found(index, "said") == ["a/1"], "the index to follow")
        wait_until(lambda: b"qqmeanwhile" not in kept(), "the index to follow")


def test_a_service_that_was_away_goes_on_where_it_was_and_looks_through_all_after_a_gap(
    log: SessionLog, index: SearchStore
) -> None:
    with followed(log, index):
        say(log, "a", 0, "one")
        wait_until(lambda: found(index, "one") == ["a/1"], "the index to follow")
    say(log, "a", 1, "two")
    say(log, "b", 0, "three")
    with followed(log, index):
        wait_until(lambda: found(index, "two OR three") == ["b/1", "a/2"], "the index to follow")
    say(log, "a", 2, "four")
    log.delete("b")
    for partition in range(log.partitions):
        log.client.execute_command("DEL", log._events.keyspace.feed(partition))
    with followed(log, index):
        wait_until(lambda: found(index, "four OR three") == ["a/3"], "the index to follow")


def test_two_that_keep_the_same_index_write_everything_once(log: SessionLog, index: SearchStore) -> None:
    with followed(log, index), followed(log, index):
        for number in range(40):
            say(log, f"s-{number % 4}", number // 4, "refund")
        wait_until(lambda: index.counts == (4, 40), "the index to follow")
    assert len(index.search("refund", limit=100)) == 40


def test_an_index_that_is_rebuilt_is_what_it_was(log: SessionLog, index: SearchStore, indexer: Indexer) -> None:
    for number in range(10):
        say(log, f"s-{number % 3}", number // 3, f"refund {number}")
    indexer.sync()
    before = index.search("refund")
    indexer.rebuild()
    assert index.counts == (0, 0)
    indexer.sync()
    assert index.search("refund") == before


def test_what_is_no_message_a_picture_or_too_long_does_no_harm(
    log: SessionLog, index: SearchStore, indexer: Indexer
) -> None:
    nested: Any = "deepest"
    for _ in range(100):
        nested = [nested]
    picture = {"image": {"format": "png", "source": {"bytes": b"refund"}}}
    call = {"toolUse": {"toolUseId": "refund", "name": "t", "input": {"deep": nested, "control": "a\x02b\x03c"}}}
    log.append("a", [message(0, "user", picture, call), message(1, "assistant", "word " * 300_000 + "tail")])
    log.append("b", message(0, "user", "\x00 nothing and \ud800 a half"))
    log.append("a", [events.Custom("custom.note", {"text": "refund"})])
    log.append("a", events.MessageAdded({"message": "refund", "message_id": 2}, "default"))
    indexer.sync()
    assert found(index, "refund OR tail") == []
    assert found(index, "deepest") == ["a/1"]
    assert found(index, "nothing half") == ["b/1"]
    (hit,) = index.search("b")
    assert [part.text for part in hit.parts if part.is_found] == ["b"]


def test_encrypted_sessions_are_not_indexed_whatever_keys_there_are(
    server_url: str, namespace: str, index: SearchStore, tmp_path: Path, kept: Callable[[], bytes]
) -> None:
    with SessionLog.connect(server_url, namespace, encryption=LocalKeys.new(tmp_path / "keys")) as log:
        say(log, "a", 0, "a secretword")
        with Indexer(log, index) as indexer:
            indexer.sync()
    assert found(index, "secretword") == []
    assert b"secretword" not in kept()


def test_what_is_erased_or_deleted_is_not_shown_even_while_nobody_indexes(
    log: SessionLog, index: SearchStore, indexer: Indexer
) -> None:
    for number in range(30):
        say(log, "a", number, "refund")
    say(log, "b", 0, "refund")
    indexer.sync()
    log.erase("a", range(10, 31), "asked to")
    log.delete("b")
    assert len(index.search("refund", limit=31)) == 31
    assert [hit.id.revision for hit in find(log, index, "refund", limit=5)] == [9, 8, 7, 6, 5]


def test_what_no_index_can_hold_can_be_looked_for(log: SessionLog, index: SearchStore, indexer: Indexer) -> None:
    say(log, "a", 0, "before\x00after, and \ud800half")
    indexer.sync()
    for query in ("before\x00after", '"before\x00after"', "half\udcff", '"\ud800half"'):
        assert found(index, query) == ["a/1"]
    for name in ("\x00", "\udcff"):
        assert found(index, "half", agent=name) == found(index, "half", labels={name: name}) == []
        assert found(index, "half", session_id=name) == found(index, "half", role=name) == []


def test_a_long_text_with_many_of_the_words_is_shown_in_no_time(
    log: SessionLog, index: SearchStore, indexer: Indexer
) -> None:
    words = [f"w{number}" for number in range(64)]
    say(log, "a", 0, " ".join(words * 500))
    indexer.sync()
    begun = time.monotonic()
    (hit,) = index.search(" OR ".join(words))
    assert time.monotonic() - begun < 5
    assert sum(part.is_found for part in hit.parts) == 24


@pytest.mark.parametrize("at", [1 << 47, (1 << 63) - 1, (1 << 64) - 1])
@pytest.mark.parametrize("is_junk", [False, True])
def test_a_forged_event_of_a_time_to_come_does_not_stop_it(
    log: SessionLog, index: SearchStore, indexer: Indexer, at: int, is_junk: bool
) -> None:
    say(log, "a", 0, "honest words")
    client: Any = log.client
    (key,) = client.scan_iter(match=f"{log.namespace}:*a:events")
    ((_, entry),) = client.xrange(key)
    client.xadd(key, {b"junk": b"junk"} if is_junk else entry, id=f"{at}-2")
    say(log, "b", 0, "other words")
    summary = indexer.sync()
    assert summary.unreadable == 1
    assert sorted(found(index, "words")) == ["a/1", "b/1"]


def test_one_may_empty_it_while_another_follows(log: SessionLog, index: SearchStore, indexer: Indexer) -> None:
    say(log, "a", 0, "first words")
    indexer.sync()
    with Indexer(log, index) as other:
        other.rebuild()
    say(log, "a", 1, "more words")
    indexer.sync()
    assert found(index, "words") == ["a/2", "a/1"]


def between_transactions(indexer: Indexer, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it commit after every few messages, and this happen before it goes on for the first time."""
    monkeypatch.setattr("strands_session_log_consumers.search.indexer._AT_ONCE", 3)
    writer: Any = indexer._writer
    begin, acts = writer._begin, iter([lambda: None, act])

    def begin_after() -> None:
        next(acts, lambda: None)()
        begin()

    monkeypatch.setattr(writer, "_begin", begin_after)


def test_one_may_empty_it_while_another_is_within_a_long_session(
    log: SessionLog, index: SearchStore, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        say(log, "a", number, "words")
    with Indexer(log, index) as other:
        between_transactions(indexer, other.rebuild, monkeypatch)
        indexer.sync()
    assert found(index, "words") == [f"a/{revision}" for revision in range(8, 0, -1)]


def test_labels_are_there_when_an_indexer_has_ended_within_a_long_session(
    log: SessionLog, index: SearchStore, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append("a", events.SessionAnnotated({"team": "sea"}))
    for number in range(8):
        say(log, "a", number, "words")

    def end() -> None:
        raise InterruptedError

    between_transactions(indexer, end, monkeypatch)
    with pytest.raises(InterruptedError):
        indexer.sync()
    with Indexer(log, index) as other:
        other.sync()
    assert len(found(index, "words", labels={"team": "sea"})) == 8


def test_an_index_that_is_emptied_and_left_is_filled_by_who_follows(log: SessionLog, index: SearchStore) -> None:
    say(log, "a", 0, "words")
    with followed(log, index), Indexer(log, index) as other:
        other.rebuild()
        wait_until(lambda: found(index, "words") == ["a/1"], "the index to follow")


def test_two_that_change_it_never_take_one_session_for_another(log: SessionLog, index: SearchStore) -> None:
    say(log, "a", 0, "of the first")
    say(log, "b", 0, "of the second")
    with Indexer(log, index) as other:
        other.sync()
        writer, said = index.writer(), said_in(next(log.read("a")))
        assert writer.up_to("a")
        other.rebuild()
        log.delete("a", reason="gone")
        other.sync()
        with writer.transaction():
            assert writer.up_to("a") is None
            writer.add("a", said)
        writer.close()
    assert found(index, "first") == ["a/1"]
    assert found(index, "second") == ["b/1"]
