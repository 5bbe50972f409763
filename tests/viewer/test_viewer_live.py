"""A page that is open is told what happens."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from anyio import to_thread
from strands import Agent, tool
from valkey.cluster import ValkeyCluster

from strands_session_log import DEFAULT_NAMESPACE, LiveTokens, SessionLog, ValkeySessionManager, events
from strands_session_log.scripts.roles import VIEWER
from strands_session_log.testing import ScriptedModel
from strands_session_log_consumers.viewer.conversation.reading import OpenConversations
from strands_session_log_consumers.viewer.live.hub import Hub
from support import wait_until
from support.following import note, notes
from support.served_viewer import ServedViewer, streaming
from support.servers import Server
from support.speaking import SpeakingModel, speaking


@pytest.fixture
def viewer(log: SessionLog) -> Iterator[ServedViewer]:
    with ServedViewer(log) as viewer:
        yield viewer


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} is a word"


def an_agent(log: SessionLog, *script: Any, **options: Any) -> Agent:
    manager = ValkeySessionManager("s-1", log=log)
    return Agent(model=ScriptedModel(*script), session_manager=manager, callback_handler=None, **options)


def test_what_happens_comes_rendered(log: SessionLog, viewer: ServedViewer) -> None:
    log.append("s-1", note(1))
    with streaming(viewer, "s=s-1&after=1") as stream:
        an_agent(log, "It is **late**.")("How late is it?")
        text = stream.text(until="<strong>late</strong>")
    assert "How late is it?" in text


def test_each_event_comes_with_what_a_timeline_shows_of_it(log: SessionLog, viewer: ServedViewer) -> None:
    log.append("s-1", notes(1, 3))
    with streaming(viewer, "s=s-1&after=1") as stream:
        found = stream.next("items")
    assert (found.data["first"], found.data["head"], len(found.data["rows"])) == (2, 2, 1)
    assert found.data["rows"][0][2:] == ["session", 10, 0]
    assert found.id == str(log.head("s-1"))


def test_a_result_changes_the_call_that_is_shown_already(log: SessionLog, viewer: ServedViewer) -> None:
    call = [{"toolUse": {"toolUseId": "t1", "name": "look_up", "input": {"word": "cat"}}}]
    agent = an_agent(log, call, "Done.", tools=[look_up])
    agent("Look cat up.")
    called = next(one for one in log.read("s-1", types="message.added") if "toolUse" in str(one.event.data))
    with streaming(viewer, f"s=s-1&after={called.id.revision}") as stream:
        items = stream.next("items").data["items"]
    changed = next(item for item in items if item["revision"] == called.id.revision)
    assert "cat is a word" in changed["html"]


def test_a_page_that_comes_back_gets_what_it_missed_and_nothing_twice(log: SessionLog, viewer: ServedViewer) -> None:
    log.append("s-1", notes(1, 3))
    with streaming(viewer, "s=s-1&after=2") as stream:
        log.append("s-1", note(3))
        last = stream.next("items").id
    log.append("s-1", notes(4, 6))
    with streaming(viewer, "s=s-1&after=2", last) as stream:
        found = list[int]()
        while 5 not in found:
            found += [item["revision"] for item in stream.next("items").data["items"]]
    assert found == [4, 5]


def test_a_page_that_missed_too_much_is_told_to_load_anew(log: SessionLog, viewer: ServedViewer) -> None:
    log.append("s-1", notes(0, 600))
    with streaming(viewer, "s=s-1&after=5") as stream:
        assert stream.next("anew").data == {"head": 600}
        log.append("s-1", note(600))
        assert stream.next("items").data["first"] == 601


def test_what_is_erased_is_loaded_anew_and_not_sent_again(log: SessionLog, viewer: ServedViewer) -> None:
    an_agent(log, "A secret.")("Tell me.")
    secret = next(one for one in log.read("s-1", types="message.added") if "secret" in str(one.event.data))
    head = log.head("s-1").revision
    with streaming(viewer, f"s=s-1&after={head}") as stream:
        stream.next("session")
        log.erase("s-1", secret.id, "asked for")
        stream.next("anew")
    with streaming(viewer, f"s=s-1&after={secret.id.revision - 1}") as stream:
        assert "A secret" not in str(stream.next("items").data)


def test_words_come_as_they_are_said_and_are_over_when_the_message_is_there(
    log: SessionLog, viewer: ServedViewer
) -> None:
    model = SpeakingModel(["one two three four"], chunk=4)
    manager = ValkeySessionManager("s-1", log=log)
    words = LiveTokens(log, "s-1", interval=0.01)
    agent = Agent(model=model, session_manager=manager, hooks=[words])
    with streaming(viewer, f"s=s-1&after={log.head('s-1').revision}") as stream, speaking(agent):
        model.say(1)
        begun = stream.next("words").data
        model.say(1)
        goes_on = stream.next("words").data
        model.say(10)
        stream.text(until="one two three four")
        over = stream.next("words", lambda said: any(one.get("over") for one in said)).data
    assert begun == [{"agent": "default", "begins": True, "pieces": [["text", "one "]]}]
    assert goes_on == [{"agent": "default", "begins": False, "pieces": [["text", "two "]]}]
    assert over == [{"agent": "default", "over": True}]


def test_who_comes_in_the_middle_of_a_message_gets_it_from_its_beginning(log: SessionLog, viewer: ServedViewer) -> None:
    model = SpeakingModel(["one two three four"], chunk=4)
    words = LiveTokens(log, "s-1", interval=0.01)
    agent = Agent(model=model, session_manager=ValkeySessionManager("s-1", log=log), hooks=[words])
    first = f"s=s-1&after={log.head('s-1').revision}"
    with streaming(viewer, first) as early, speaking(agent):
        model.say(2)
        heard = ""
        while heard != "one two ":
            heard += "".join(text for one in early.next("words").data for _, text in one["pieces"])
        with streaming(viewer, first) as late:
            assert late.next("words").data[0]["pieces"] == [["text", "one two "]]


def readers() -> int:
    """How many reads wait at the server, or are about to: each has a thread."""
    return sum(thread.name == "session-log-tail" for thread in threading.enumerate())


def test_any_number_of_pages_cost_the_server_one_reader(log: SessionLog, viewer: ServedViewer) -> None:
    log.append("s-1", note(1))
    # What lies in different slots of a cluster cannot be read with one command.
    most = log._events.keyspace.partitions if isinstance(log.client, ValkeyCluster) else 1
    wait_until(lambda: not readers(), "those of other tests to end")
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(streaming(viewer, "s=s-1&after=1")) for _ in range(100)]
        streams[0].next("session")
        wait_until(readers, "the pages to be served")
        log.append("s-1", note(2))
        texts = {str(stream.next("items").data["items"]) for stream in streams}
        assert 1 <= readers() <= most
    assert len(texts) == 1


def test_the_list_is_told_of_what_changed_and_of_new_sessions(log: SessionLog, viewer: ServedViewer) -> None:
    an_agent(log, "Hello.")("Hi")
    known = f"{int(log.session('s-1').last_event_at.timestamp() * 1000) + 1}-0"
    with streaming(viewer, f"list&after={known}") as stream:
        stream.next("waiting")
        log.append("s-2", events.SessionAnnotated({"team": "travel"}))
        rows = stream.next("rows").data
    assert [row["shown"] for row in rows] == [True]
    assert "s-2" in rows[0]["html"]


def test_the_list_says_of_each_row_whether_the_filter_shows_it(log: SessionLog, viewer: ServedViewer) -> None:
    with streaming(viewer, "list&q=elsewhere") as stream:
        stream.next("server")
        log.append("s-2", note(1))
        rows = stream.next("rows").data
    assert [row["shown"] for row in rows] == [False]


def test_a_session_that_is_deleted_is_said_to_be_gone(log: SessionLog, viewer: ServedViewer) -> None:
    log.append("s-1", note(1))
    with streaming(viewer, "s=s-1&after=1") as stream:
        stream.next("session")
        log.delete("s-1")
        log.append("s-1", note(2))
        assert "s-1" in stream.next("gone").data["text"]


def test_another_session_of_that_name_is_not_taken_for_what_was_shown(log: SessionLog, viewer: ServedViewer) -> None:
    log.append("s-1", notes(1, 3))
    with streaming(viewer, "s=s-1&after=1700000000000-2") as stream:
        assert stream.next("anew").data == {"head": 2}


def test_whoever_may_only_read_may_watch(tcp_server: Server) -> None:
    rules = VIEWER.rules(DEFAULT_NAMESPACE)
    with SessionLog.connect(tcp_server.url) as log:
        log.append("s-1", note(1))
        tcp_server.execute("ACL", "SETUSER", "somebody", "reset", "on", ">hunter2", *rules.split())
        url = tcp_server.url.replace("://", "://somebody:hunter2@")
        with (
            SessionLog.connect(url) as reader,
            ServedViewer(reader) as viewer,
            streaming(viewer, "s=s-1&list&after=1") as stream,
        ):
            log.append("s-1", note(2))
            assert stream.next("items").data["head"] == 2


def test_a_channel_that_does_not_get_what_the_log_has_is_behind(log: SessionLog) -> None:
    log.append("s-1", note(1))

    async def behind() -> list[int]:
        hub = Hub(log, OpenConversations(log), to_thread.run_sync)
        with hub.watching("s-1") as watching:
            channel = watching.channel
            assert channel
            while not channel.is_ready:
                await watching.wakeup.wait()
                watching.wakeup.clear()
            found = []
            # It may come yet: only what the log had a while ago counts.
            for known in (4, 4, 1, 1):
                channel.note_head(known)
                found.append(channel.behind)
        hub.close()
        return found

    assert asyncio.run(behind()) == [0, 3, 3, 0]


def test_nothing_is_followed_once_nobody_watches(
    log: SessionLog, viewer: ServedViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strands_session_log_consumers.viewer.live.hub._LINGER", 0.01)
    log.append("s-1", note(1))
    with streaming(viewer, "s=s-1&after=1") as stream:
        stream.next("session")
        wait_until(lambda: readers() > 0, "it to be followed")
        log.append("s-1", note(2))
        stream.next("items")
    # What was blocked is woken, and finds nobody.
    wait_until(lambda: log.append("s-1", note(3)) and readers() == 0, "nothing to be followed")
