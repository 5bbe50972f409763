"""Readers of what is being said that are cut off at any moment, while several agents speak, and come again."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any, NamedTuple

import pytest
from strands import Agent

from strands_session_log import Delta, LivePosition, LiveTokens, Recorded, SessionLog, ValkeySessionManager, errors
from strands_session_log.ids import START, EventId
from support import wait_until
from support.command_line import message
from support.following import SOON, taken
from support.speaking import SpeakingModel

TURNS, WORDS = 9, 40


class SpokenText(NamedTuple):
    """What a reader has of the message that an agent is saying."""

    message: str = ""
    sequence: int = 0
    text: str = ""


class LiveReader:
    """Follows the rule of `docs/subscriptions.md`, and checks that nothing is missing.

    Attributes:
        messages: Those of the log.
        heard: How many pieces came.
        repeated: How much came that the rule drops.
    """

    def __init__(self) -> None:
        self.messages: list[Recorded] = []
        self.heard = self.repeated = 0
        self._said: dict[str, SpokenText] = {}
        self._answered: dict[str, int] = {}

    def read(self, item: Delta | Recorded) -> None:
        if isinstance(item, Delta):
            self._hear(item)
        elif self.messages and item.id <= self.messages[-1].id:
            self.repeated += 1
        else:
            self._record(item)

    def _hear(self, piece: Delta) -> None:
        line = piece.line
        before = self._said.get(line.agent, SpokenText())
        if self._answered.get(line.agent, 0) > piece.revision or (
            line.message == before.message and line.sequence <= before.sequence
        ):
            self.repeated += 1
            return
        if line.message != before.message:
            before = SpokenText(line.message)
        assert line.sequence == before.sequence + 1
        self.heard += 1
        self._said[line.agent] = SpokenText(line.message, line.sequence, before.text + line.text)

    def _record(self, recorded: Recorded) -> None:
        assert recorded.event.type == "message.added"
        self.messages.append(recorded)
        if recorded.event.data["message"]["role"] == "assistant":
            agent = recorded.event.agent
            assert text_of(recorded).startswith(self._said.pop(agent, SpokenText()).text)
            self._answered[agent] = recorded.id.revision


def text_of(recorded: Recorded) -> str:
    return "".join(block["text"] for block in recorded.event.data["message"]["content"])


def make_speaker(log: SessionLog, name: str, replies: Sequence[str]) -> Agent:
    hooks: list[Any] = [LiveTokens(log, "s", interval=0.001)]
    manager = ValkeySessionManager("s", log=log)
    model = SpeakingModel(replies)
    return Agent(model=model, session_manager=manager, hooks=hooks, callback_handler=None, agent_id=name)


@contextmanager
def talking(agents: Sequence[Any]) -> Iterator[None]:
    """Several turns of agents at once, which say a word when they may; to their end."""

    def talk(agent: Any) -> None:
        for turn in range(TURNS):
            agent(f"Turn {turn}?")

    threads = [threading.Thread(target=talk, args=(agent,), daemon=True) for agent in agents]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for agent in agents:
            agent.model.say(inf)
        for thread in threads:
            thread.join(SOON)
            assert not thread.is_alive()


def some(tail: Any, most: int) -> list[Any]:
    """Up to so many items, if they come at once."""
    found: list[Any] = []
    try:
        while len(found) < most:
            found += taken(tail, 1, timeout=0.02)
    except asyncio.TimeoutError:
        pass
    return found


def test_nothing_is_missing_or_twice_after_400_reconnections_while_three_agents_speak(session_log: SessionLog) -> None:
    """Each time the position goes on as text, as over SSE, after any number of items: also none."""
    draw, reader = random.Random(11), LiveReader()
    agents: list[Any] = [
        make_speaker(
            session_log, name, ["".join(f"{name}{turn}-{at:02} " for at in range(WORDS)) for turn in range(TURNS)]
        )
        for name in ("a", "b", "c")
    ]
    after: Any = LivePosition()
    with talking(agents):
        for _ in range(400):
            for _ in range(draw.randint(0, 4)):
                draw.choice(agents).model.say()
            with session_log.live("s", after=after) as live:
                for item in some(live, draw.randint(0, 6)):
                    reader.read(item)
                after = str(live.position)
    with session_log.live("s", after=after) as live:
        while len(reader.messages) < 2 * len(agents) * TURNS:
            reader.read(taken(live, 1)[0])
    assert reader.messages == list(session_log.read("s", types="message.*"))
    assert reader.repeated == 0
    assert reader.heard > 300


def say(log: SessionLog, agent: str, sequence: int, revision: int, kind: str = "text") -> EventId:
    """Publish a piece by hand, of the message that the agent began when the session stood there."""
    about = {"kind": kind, "agent": agent, "message": f"{agent}-{revision}", "sequence": sequence}
    fields: dict[str, Any] = {
        **about,
        "block": 0,
        "tool_use_id": "",
        "text": f"{agent}{sequence} ",
        "revision": revision,
    }
    flat = [part for pair in fields.items() for part in pair]
    stored: bytes = log.client.execute_command("XADD", live_key(log), "*", *flat, NEVER_DECODE=True)
    return EventId.parse(stored)


def live_key(log: SessionLog) -> str:
    return log._events.keyspace.session("s").live


def answer(log: SessionLog, agent: str, index: int = 0) -> EventId:
    """An assistant's message in the log."""
    return log.append("s", message(index, "assistant", "Fine.", agent=agent))


def known(items: Sequence[Any]) -> list[Any]:
    """Pieces by agent and number, messages by revision."""
    return [f"{one.line.agent}{one.line.sequence}" if isinstance(one, Delta) else one.id.revision for one in items]


def came(log: SessionLog, after: Any, count: int) -> list[Any]:
    """All that a tail gives, which is so much."""
    with log.live("s", after=after) as live:
        found = known(taken(live, count))
        with pytest.raises(asyncio.TimeoutError):
            taken(live, 1, timeout=0.2)
    return found


def test_a_message_that_comes_before_older_pieces_does_not_hide_them(session_log: SessionLog) -> None:
    first = answer(session_log, "other")
    say(session_log, "a", 1, 1)
    say(session_log, "b", 1, 1)
    answer(session_log, "a")
    with session_log.live("s", after=LivePosition(first)) as live:
        assert known(taken(live, 1)) == [2]
        position = live.position
    assert came(session_log, position, 1) == ["b1"]


def test_a_piece_that_is_published_after_its_message_is_passed_over_also_after_a_reconnection(
    session_log: SessionLog,
) -> None:
    answer(session_log, "other")
    say(session_log, "a", 1, 1)
    with session_log.live("s") as live:
        assert known(taken(live, 1)) == ["a1"]
        answer(session_log, "a")
        assert known(taken(live, 1)) == [2]
        position = live.position
    answer(session_log, "other", 1)
    say(session_log, "a", 2, 1)
    say(session_log, "b", 1, 3)
    assert came(session_log, position, 2) == [3, "b1"]


def test_what_a_driver_wrote_twice_around_the_cut_is_dropped_by_the_rule(session_log: SessionLog) -> None:
    reader = LiveReader()
    answer(session_log, "other")
    say(session_log, "a", 1, 1)
    with session_log.live("s") as live:
        reader.read(*taken(live, 1))
    for sequence in (1, 2):
        say(session_log, "a", sequence, 1)
    with session_log.live("s", after=live.position) as again:
        for item in taken(again, 2):
            reader.read(item)
    assert (reader.heard, reader.repeated) == (2, 1)


def test_a_position_is_known_before_anything_comes(session_log: SessionLog) -> None:
    head = answer(session_log, "a")
    with session_log.live("s") as live:
        assert live.position == LivePosition(head, START)
    say(session_log, "a", 1, 1)
    assert came(session_log, live.position, 1) == ["a1"]


def test_a_tail_that_could_not_begin_keeps_the_position_it_was_given(session_log: SessionLog) -> None:
    given = LivePosition(EventId(1700000000000, 9), EventId(1700000000000, 1))
    tail = session_log.live("s", after=given)
    assert tail.position == given
    with pytest.raises(errors.SessionDeletedError):
        taken(tail, 1)
    assert tail.position == given


def test_the_id_of_an_event_gives_what_is_being_said_from_its_beginning(session_log: SessionLog) -> None:
    """One that speaks meanwhile may have begun long before it."""
    answer(session_log, "other")
    say(session_log, "a", 1, 1)
    say(session_log, "b", 1, 1)
    event = answer(session_log, "b")
    say(session_log, "a", 2, 1)
    assert came(session_log, event, 2) == ["a1", "a2"]
    assert came(session_log, str(event), 2) == ["a1", "a2"]


def test_the_id_of_a_piece_goes_on_behind_it(session_log: SessionLog) -> None:
    event = answer(session_log, "other")
    # Where one id stands in both streams, it is taken for the event's.
    wait_until(lambda: session_log._events.now_ms("s") > event.ms + 1, "another millisecond")
    say(session_log, "a", 1, 1)
    last = say(session_log, "b", 1, 1)
    say(session_log, "a", 2, 1)
    with session_log.live("s", after=str(last)) as live:
        assert known(taken(live, 1)) == ["a2"]


@pytest.mark.parametrize("command", [("UNLINK",), ("XTRIM", "MAXLEN", 0)], ids=["expired", "trimmed"])
def test_a_position_whose_pieces_are_gone_goes_on_with_what_is_there(session_log: SessionLog, command: Any) -> None:
    answer(session_log, "other")
    say(session_log, "a", 1, 1)
    with session_log.live("s") as live:
        taken(live, 1)
        position = live.position
    say(session_log, "a", 2, 1)
    session_log.client.execute_command(command[0], live_key(session_log), *command[1:])
    assert came(session_log, position, 0) == []
    say(session_log, "a", 3, 1)
    answer(session_log, "b")
    # That one is missing shows in the numbers.
    assert came(session_log, position, 2) == [2, "a3"]


def test_a_position_survives_an_erasure(session_log: SessionLog) -> None:
    erased = answer(session_log, "other")
    say(session_log, "a", 1, 1)
    with session_log.live("s") as live:
        taken(live, 1)
        position = live.position
    session_log.erase("s", erased, reason="a password")
    say(session_log, "a", 2, 1)
    assert came(session_log, position, 1) == ["a2"]


def test_a_position_in_a_session_that_was_deleted_says_so(session_log: SessionLog) -> None:
    answer(session_log, "a")
    with session_log.live("s") as live:
        position = live.position
    session_log.delete("s")
    with pytest.raises(errors.SessionDeletedError):
        came(session_log, position, 1)
    answer(session_log, "a")
    with pytest.raises(errors.LogForkedError):
        came(session_log, position, 1)


def test_a_clock_that_went_back_makes_pieces_come_from_the_beginning(session_log: SessionLog) -> None:
    """A new stream, with lower ids than that of which the reader knows."""
    event = answer(session_log, "other")
    say(session_log, "a", 1, 1)
    later = LivePosition(event, EventId(event.ms + 3_600_000, 0))
    assert came(session_log, later, 1) == ["a1"]


def test_what_is_discarded_does_not_go_on(session_log: SessionLog) -> None:
    answer(session_log, "other")
    say(session_log, "a", 1, 1)
    say(session_log, "a", 2, 1, "discarded")
    say(session_log, "a", 3, 1)
    assert came(session_log, LivePosition(EventId(0, 0)), 3) == [1, "a1", "a2"]


def test_a_long_silence_of_one_agent_does_not_bring_back_what_another_finished(session_log: SessionLog) -> None:
    """What is in the log counts from where the oldest piece was published, not from where the reader goes on."""
    answer(session_log, "other")
    say(session_log, "a", 1, 1)
    say(session_log, "b", 1, 1)
    answer(session_log, "a")
    for index in range(5):
        answer(session_log, "c", index)
    assert came(session_log, None, 1) == ["b1"]


@pytest.mark.parametrize("after", ["", ".", "yesterday", "1-1.", 12, 1.5])
def test_what_is_no_position_is_refused(session_log: SessionLog, after: Any) -> None:
    with pytest.raises(errors.InvalidPointError):
        session_log.live("s", after=after)
