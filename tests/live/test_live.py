"""What an agent says while it says it: published beside the log, followed by readers that come, go and come again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from strands import Agent

from strands_session_log import Delta, LiveTokens, Recorded, SessionLog, ValkeySessionManager, errors
from strands_session_log.testing.model import ScriptedModel
from support import FaultProxy, Keyspace, wait_until
from support.following import SOON, collecting, taken
from support.servers import Server
from support.speaking import SpeakingModel, speaking
from support.strands_agents import add, call, make_agent

WORDS = "one, two, three, four, five."
SECRET = "hunter2"


def make_speaker(log: SessionLog, script: Any = (WORDS,), tools: Any = (), **options: Any) -> Any:
    """An agent of session "s" that says a word when it may, and is heard."""
    manager = ValkeySessionManager("s", log=log)
    hooks: list[Any] = [LiveTokens(log, "s", interval=0.001)]
    model = SpeakingModel(script)
    return Agent(model=model, session_manager=manager, hooks=hooks, callback_handler=None, tools=list(tools), **options)


def said(items: Any) -> str:
    """The text of pieces."""
    return "".join(one.line.text for one in items if isinstance(one, Delta) and one.line.kind == "text")


def heard(tail: Any, text: str) -> list[Any]:
    """Take items until so much was said."""
    items: list[Any] = []
    while len(said(items)) < len(text):
        items += taken(tail, 1)
    assert said(items) == text
    return items


def until_recorded(tail: Any, role: str = "assistant") -> tuple[list[Delta], Recorded]:
    """Take items until a message is in the log; the pieces before it."""
    pieces: list[Delta] = []
    while True:
        (item,) = taken(tail, 1)
        if isinstance(item, Delta):
            pieces.append(item)
        elif item.event.data["message"]["role"] == role:
            return pieces, item


def test_words_come_one_by_one_and_then_the_message(session_log: SessionLog) -> None:
    agent = make_speaker(session_log)
    with session_log.live("s") as live, speaking(agent):
        assert until_recorded(live, "user")[0] == []
        for at in range(0, 24, 6):
            agent.model.say()
            heard(live, WORDS[at : at + 6])
        agent.model.say()
        # The last word may come with the message, and then comes no more.
        pieces, message = until_recorded(live)
        assert said(pieces) in ("", WORDS[24:])
        assert message.event.data["message"]["content"] == [{"text": WORDS}]
        assert message == list(session_log.read("s", types="message.added"))[-1]


async def _streamed(agent: Any) -> None:
    async for _ in agent.stream_async("Hello?"):
        pass


@pytest.mark.parametrize(
    "talk",
    [
        lambda agent: agent("Hello?"),
        lambda agent: asyncio.run(agent.invoke_async("Hello?")),
        lambda agent: asyncio.run(_streamed(agent)),
    ],
    ids=["sync", "invoke_async", "stream_async"],
)
def test_it_hears_an_agent_however_it_is_called(session_log: SessionLog, talk: Callable[[Any], Any]) -> None:
    agent = make_speaker(session_log)
    thread = threading.Thread(target=talk, args=(agent,))
    with session_log.live("s") as live:
        thread.start()
        agent.model.say(2)
        heard(live, WORDS[:12])
        agent.model.say(100)
        until_recorded(live)
    thread.join(SOON)


def test_tool_calls_are_heard_with_their_input(session_log: SessionLog) -> None:
    reply = [{"text": "Wait."}, call("add", a=1, b=2), {"text": "There."}]
    agent = make_speaker(session_log, [reply, "Three."], [add])
    with session_log.live("s") as live, speaking(agent):
        # Before it may say the last word.
        agent.model.say(2)
        pieces: list[Delta] = []
        while not any(one.line.kind == "input" for one in pieces):
            pieces += [one for one in taken(live, 1) if isinstance(one, Delta)]
        told = {one.line.kind: one.line for one in pieces}
        assert (told["tool"].text, told["input"].text) == ("add", '{"a":1,"b":2}')
        assert told["tool"].tool_use_id == told["input"].tool_use_id != ""
        assert (told["text"].block, told["input"].block) == (0, 1)
        agent.model.say(1)
        pieces, _ = until_recorded(live)
        assert said(pieces) in ("", "There.")


def test_a_callback_handler_of_ones_own_gets_what_it_always_got(session_log: SessionLog) -> None:
    class Handler:
        name = "mine"

        def __init__(self) -> None:
            self.events: list[dict[str, Any]] = []

        def __call__(self, **event: Any) -> None:
            self.events.append(event)

    with_live, without = Handler(), Handler()
    heard_one = Agent(
        model=ScriptedModel([WORDS]), callback_handler=with_live, hooks=[LiveTokens(session_log, "s")], agent_id="a"
    )
    heard_one("Hello?")
    Agent(model=ScriptedModel([WORDS]), callback_handler=without, agent_id="a")("Hello?")
    assert [set(event) for event in with_live.events] == [set(event) for event in without.events]
    assert "".join(event.get("data", "") for event in with_live.events) == WORDS
    assert getattr(heard_one.callback_handler, "name", "") == "mine"


def test_a_reader_that_comes_again_goes_on_in_mid_sentence(session_log: SessionLog) -> None:
    agent = make_speaker(session_log)
    with speaking(agent):
        with session_log.live("s") as live:
            agent.model.say(2)
            last = heard(live, WORDS[:12])[-1]
        agent.model.say(1)
        with session_log.live("s", after=str(last.id)) as again:
            heard(again, WORDS[12:18])
            agent.model.say(100)
            assert said(until_recorded(again)[0]) in WORDS[18:]


def test_a_reader_that_was_away_to_the_end_gets_the_message(session_log: SessionLog) -> None:
    agent = make_speaker(session_log)
    with session_log.live("s") as live, speaking(agent):
        agent.model.say(2)
        last = heard(live, WORDS[:12])[-1]
    with session_log.live("s", after=last.id) as again:
        pieces, message = until_recorded(again)
    assert message.event.data["message"]["content"] == [{"text": WORDS}]
    assert said(pieces) in ("", WORDS[12:])
    with session_log.live("s", after=message.id) as nothing, pytest.raises(asyncio.TimeoutError):
        taken(nothing, 1, timeout=0.3)


def test_a_reader_that_comes_late_gets_the_turn_from_its_start_and_no_turn_before(session_log: SessionLog) -> None:
    agent = make_speaker(session_log, ["I said this before.", WORDS])
    with speaking(agent):
        # What begins to arrive when the message is in the log would be taken for the next one.
        agent.model.say(1)
        with session_log.live("s") as live:
            taken(live, 1)
        agent.model.say(100)
    with speaking(agent):
        agent.model.say(3)
        with session_log.live("s") as live:
            heard(live, WORDS[:18])
            agent.model.say(100)
            until_recorded(live)
    with session_log.live("s") as live, pytest.raises(asyncio.TimeoutError):
        taken(live, 1, timeout=0.3)


def test_two_agents_of_a_session_are_told_apart(session_log: SessionLog) -> None:
    agents = [make_speaker(session_log, [f"I am {name}."], agent_id=name) for name in ("a", "b")]
    with session_log.live("s") as live, speaking(agents[0]), speaking(agents[1]):
        for agent in agents:
            agent.model.say(100)
        items: list[Any] = []
        while len([one for one in items if isinstance(one, Recorded) and _is_answer(one)]) < 2:
            items += taken(live, 1)
        for name in ("a", "b"):
            mine = [one for one in items if isinstance(one, Delta) and one.line.agent == name]
            assert said(mine) in f"I am {name}."


def _is_answer(recorded: Recorded) -> bool:
    return bool(recorded.event.data["message"]["role"] == "assistant")


def test_what_a_failed_call_said_is_discarded(session_log: SessionLog) -> None:
    class Failing(SpeakingModel):
        async def stream(self, *arguments: Any, **options: Any) -> Any:
            words = 0
            async for event in super().stream(*arguments, **options):
                words += "contentBlockDelta" in event
                if words > 1:
                    raise RuntimeError("down")
                yield event

    agent = make_speaker(session_log)
    agent.model = Failing([WORDS])

    def talk(prompt: str) -> None:
        with pytest.raises(Exception, match="down"):
            agent(prompt)

    with session_log.live("s") as live:
        thread = threading.Thread(target=talk, args=("Hello?",))
        thread.start()
        until_recorded(live, "user")
        agent.model.say()
        heard(live, WORDS[:6])
        agent.model.say()
        assert taken(live, 1)[0].line.kind == "discarded"
        thread.join(SOON)


def stored(log: SessionLog) -> bytes:
    """The live stream."""
    return str(log.client.execute_command("XRANGE", log._events.keyspace.session("s").live, "-", "+")).encode()


def live_exists(log: SessionLog) -> bool:
    return bool(log.client.execute_command("EXISTS", log._events.keyspace.session("s").live))


def test_what_a_guardrail_objects_to_is_taken_back_in_mid_turn(session_log: SessionLog) -> None:
    """From the server at once; readers are told; what is said instead comes."""
    redaction = {"redactContent": {"redactAssistantContentMessage": "[redacted]"}}
    agent = make_speaker(session_log, [[{"text": SECRET}, redaction, {"text": "I cannot say."}]])
    with session_log.live("s") as live, speaking(agent):
        agent.model.say(1)
        heard(live, SECRET[:6])
        agent.model.say(1)
        wait_until(lambda: b"discarded" in stored(session_log), "the objection")
        assert SECRET[:6].encode() not in stored(session_log)
        kinds = [one.line.kind for one in taken(live, 1)]
        agent.model.say(1)
        assert kinds == ["discarded"]
        heard(live, "I cann")


def test_a_deleted_session_leaves_nothing_that_is_said_on(session_log: SessionLog) -> None:
    agent = make_speaker(session_log)
    # Its turn may fail at the end, as its session is gone.
    thread = threading.Thread(target=_quietly, args=(agent,))
    with session_log.live("s") as live:
        thread.start()
        agent.model.say(2)
        heard(live, WORDS[:12])
        session_log.delete("s")
        assert not live_exists(session_log)
        agent.model.say(2)
        with pytest.raises(errors.SessionDeletedError):
            taken(live, 100)
        assert not live_exists(session_log)
    agent.model.say(100)
    thread.join(SOON)


def _quietly(agent: Any) -> None:
    with suppress(Exception):
        agent("Hello?")


def test_erasing_takes_the_words_and_the_turn_goes_on(session_log: SessionLog) -> None:
    agent = make_speaker(session_log)
    with session_log.live("s") as live, speaking(agent):
        agent.model.say(2)
        heard(live, WORDS[:12])
        prompt = next(session_log.read("s", types="message.added"))
        session_log.erase("s", prompt.id, reason="a password")
        assert not live_exists(session_log)
        agent.model.say(1)
        heard(live, WORDS[12:18])
    assert session_log.verify("s").ok


def test_the_stream_goes_away_by_itself_and_is_capped(session_log: SessionLog) -> None:
    agent = make_speaker(session_log)
    with session_log.live("s") as live, speaking(agent):
        agent.model.say(1)
        heard(live, WORDS[:6])
        left = session_log.client.execute_command("PTTL", session_log._events.keyspace.session("s").live)
        assert 0 < left <= 120_000


def test_it_is_no_part_of_the_log(session_log: SessionLog) -> None:
    with speaking(make_speaker(session_log)):
        pass
    heard = [one.event.type for one in session_log.read("s")]
    session_log.delete("s")
    make_agent(session_log, [WORDS])("Hello?")
    assert heard == [one.event.type for one in session_log.read("s")]
    assert session_log.verify("s").ok


def test_a_client_that_decodes_can_publish_and_follow(make_client: Callable[..., Any], namespace: str) -> None:
    log = SessionLog(make_client(decode_responses=True), namespace)
    agent = make_speaker(log)
    with log.live("s") as live, speaking(agent):
        agent.model.say(2)
        heard(live, WORDS[:12])
        agent.model.say(100)
        until_recorded(live)


def test_without_a_session_nothing_is_published(session_log: SessionLog) -> None:
    live = LiveTokens(session_log, "s", interval=0.001)
    model = SpeakingModel([WORDS])
    with speaking(Agent(model=model, hooks=[live], callback_handler=None)):
        model.say(2)
        wait_until(lambda: live.stats.dropped, "the words to be given up")
    assert "no such session" in live.stats.last_error
    assert not Keyspace(session_log.client).under(f"{session_log.namespace}:*:session")  # type: ignore[arg-type]


@pytest.mark.faults
@pytest.mark.parametrize("trouble", ["hangs", "is gone"])
def test_a_server_that_does_not_answer_neither_slows_nor_disturbs_the_agent(
    tcp_server: Server, proxy: FaultProxy, trouble: str
) -> None:
    log = SessionLog.connect(proxy.url)
    ValkeySessionManager("s", log=log)
    live = LiveTokens(log, "s")

    def seconds(*hooks: Any) -> float:
        agent = Agent(model=ScriptedModel(["word " * 20_000], chunk=5), hooks=list(hooks), callback_handler=None)
        began = time.monotonic()
        agent("Hello?")
        return time.monotonic() - began

    by_itself = seconds()
    if trouble == "hangs":
        proxy.hold_replies()
    else:
        proxy.refuse()
        proxy.cut()
    assert seconds(live) < 3 * by_itself + 5
    assert live.stats.dropped or live.stats.waiting
    proxy.release_replies()
    proxy.accept()
    log.close()


@pytest.mark.faults
def test_words_that_come_while_the_network_fails_come_once(tcp_server: Server, proxy: FaultProxy) -> None:
    """Those that could not be published are missing, which their numbers tell; the message is whole."""
    reader = SessionLog(tcp_server.client())
    log = SessionLog.connect(proxy.url)
    agent = make_speaker(log, ["x" * 6 * 30])
    with reader.live("s") as live, collecting(live) as found, speaking(agent):
        for number in range(30):
            if number % 10 == 5:
                proxy.swallow_replies(1, of=b"text")
            agent.model.say()
            time.sleep(0.005)
        agent.model.say(100)
        wait_until(lambda: any(isinstance(one, Recorded) and _is_answer(one) for one in found), "the message", SOON)
    numbers = [one.line.sequence for one in found if isinstance(one, Delta)]
    assert numbers == sorted(set(numbers))
    log.close()
