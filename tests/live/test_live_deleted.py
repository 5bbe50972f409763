"""Words that wait to be published while their session is deleted, or their message erased: they come too late."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
from strands import Agent

from strands_session_log import LiveTokens, SessionLog, SessionRecorder, ValkeySessionManager, events
from strands_session_log.live.publisher import Publisher
from support import wait_until
from support.following import SOON
from support.speaking import SpeakingModel, speaking

WORDS = "one, two, three, four, five."


class Gate:
    """Holds up a publisher before it sends a batch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._is_open = threading.Event()
        self._is_open.set()
        take: Callable[[Publisher], Any] = Publisher._take

        def held(publisher: Publisher) -> Any:
            self._is_open.wait(SOON)
            return take(publisher)

        monkeypatch.setattr(Publisher, "_take", held)

    def close(self) -> None:
        self._is_open.clear()

    def open(self) -> None:
        self._is_open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


def begin(log: SessionLog) -> None:
    log.append("s", events.Custom("custom.note", {}))


def begin_anew(log: SessionLog) -> None:
    now = log._events.now_ms("s")
    wait_until(lambda: log._events.now_ms("s") > now + 1, "another millisecond", interval=0.001)
    log.delete("s")
    begin(log)


def mirrored(log: SessionLog, live: LiveTokens, *hooks: Any) -> Any:
    return Agent(model=SpeakingModel([WORDS, "Another answer."]), hooks=[live, *hooks], callback_handler=None)


def stored(log: SessionLog) -> str:
    """The live stream."""
    return str(log.client.execute_command("XRANGE", log._events.keyspace.session("s").live, "-", "+"))


@contextmanager
def said_unpublished(agent: Any, live: LiveTokens, gate: Gate, words: float = 1) -> Any:
    """Words that are heard and wait."""
    gate.close()
    agent.model.say(words)
    wait_until(lambda: live.stats.waiting, "a word to be heard")
    yield
    gate.open()
    assert live.flush(SOON)


@pytest.mark.parametrize("published", [0, 1], ids=["from the first word", "from the second word"])
def test_words_of_a_session_that_was_deleted_and_begun_anew_at_once_do_not_land_in_the_new_one(
    session_log: SessionLog, gate: Gate, published: int
) -> None:
    live = LiveTokens(session_log, "s", interval=0.001)
    agent = mirrored(session_log, live)
    begin(session_log)
    with speaking(agent):
        for _ in range(published):
            agent.model.say(1)
            wait_until(lambda: "one, t" in stored(session_log), "the first word")
        with said_unpublished(agent, live, gate):
            begin_anew(session_log)
        assert stored(session_log) == "[]"
        agent.model.say(1)
        wait_until(lambda: not live.stats.waiting, "another word to be heard")
        assert live.flush(SOON)
        assert stored(session_log) == "[]"


def test_what_is_said_next_is_published_in_the_session_that_was_begun_anew(session_log: SessionLog, gate: Gate) -> None:
    live = LiveTokens(session_log, "s", interval=0.001)
    agent = mirrored(session_log, live)
    begin(session_log)
    with speaking(agent), said_unpublished(agent, live, gate):
        begin_anew(session_log)
    wait_until(lambda: (session_log._events.life("s").deleted_ago or 0) > 0.01, "a while", interval=0.001)
    with speaking(agent, "Go on."):
        agent.model.say(1)
        wait_until(lambda: "Anothe" in stored(session_log), "the next answer")
    assert "one" not in stored(session_log)


def test_words_of_a_message_that_is_erased_do_not_come_after_it(session_log: SessionLog, gate: Gate) -> None:
    live = LiveTokens(session_log, "s", interval=0.001)
    manager = ValkeySessionManager("s", log=session_log)
    agent: Any = Agent(model=SpeakingModel([WORDS]), hooks=[live], session_manager=manager, callback_handler=None)
    thread = threading.Thread(target=agent, args=("Hello?",))
    thread.start()
    agent.model.say(1)
    wait_until(lambda: "one, t" in stored(session_log), "the first word")
    with said_unpublished(agent, live, gate, 100):
        thread.join(SOON)
        message = list(session_log.read("s", types="message.added"))[-1]
        assert WORDS in str(message.event.data)
        session_log.erase("s", message.id, "asked for")
    assert not [word for word in WORDS.split() if word in stored(session_log)]
    assert "'end'" in stored(session_log)


def test_what_is_being_said_goes_on_when_something_else_is_erased(session_log: SessionLog, gate: Gate) -> None:
    live = LiveTokens(session_log, "s", interval=0.001)
    agent = mirrored(session_log, live)
    begin(session_log)
    with speaking(agent):
        agent.model.say(1)
        wait_until(lambda: "one, t" in stored(session_log), "the first word")
        with said_unpublished(agent, live, gate):
            session_log.erase("s", next(session_log.read("s")).id, "asked for")
        assert "wo, th" in stored(session_log)


def test_words_of_a_recorded_agent_stay_away_from_the_session_its_recorder_begins_anew(
    session_log: SessionLog, gate: Gate
) -> None:
    live, recorder = LiveTokens(session_log, "s", interval=0.001), SessionRecorder(session_log, "s")
    agent = mirrored(session_log, live, recorder)
    with speaking(agent):
        wait_until(lambda: session_log.sessions(), "the session to begin")
        assert recorder.flush()
        with said_unpublished(agent, live, gate):
            session_log.delete("s")
            agent.model.say(100)
            wait_until(lambda: len(agent.messages) == 2, "the answer")
            recorder.flush()
        assert "one" not in stored(session_log)
    assert recorder.close()
