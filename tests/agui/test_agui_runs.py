"""Runs that outlive their connection: begun by one request, followed by others, on whichever replica."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from strands import Agent, tool
from strands.types.tools import ToolContext

from strands_session_log import LocalKeys, SessionLog, SessionRuns, ValkeySessionManager, events
from strands_session_log.testing import ScriptedModel
from strands_session_log_consumers.agui.conversation import FINISHED, STARTED
from support import wait_until
from support.following import SOON
from support.served_agui import SCRIPT, AguiRun, AguiSettings, FrontEnd, asked, get, make_adder, post, served_agui


def make_waiting(gate: Event) -> Any:
    """Makes agents that begin to answer, and go on when they may."""

    def make(run: AguiRun) -> Agent:
        def respond(_: Any) -> Any:
            return "word " * 400

        model = ScriptedModel(respond, chunk=5, pause=0.01)
        gate.set()
        return Agent(model=model, session_manager=run.session_manager, hooks=[run.live_tokens], callback_handler=None)

    return make


@pytest.fixture
def adder(session_log: SessionLog) -> Iterator[str]:
    with served_agui(session_log, make_adder) as url:
        yield url


WHOLE = [
    ("user", "1 + 2?"),
    ("reasoning", "They want a sum."),
    ("assistant", "I shall add these. "),
    ("tool", "3"),
    ("assistant", SCRIPT[1]),
]


def test_a_run_is_told_word_by_word(adder: str) -> None:
    seen = post(adder, asked("1 + 2?"))
    assert seen.said == WHOLE
    assert seen.types[0] == "RUN_STARTED"
    assert seen.types[-1] == "RUN_FINISHED"
    assert seen.last["outcome"] == {"type": "success"}
    assert seen.types.count("TEXT_MESSAGE_CONTENT") > 4
    assert seen.state == {"asked": "run-1"}
    assert seen.messages["user-run-1"]["content"] == "1 + 2?"


def test_whoever_comes_back_at_any_moment_ends_with_the_same(session_log: SessionLog) -> None:
    cut_at = random.Random(17)
    with served_agui(session_log, make_adder) as one, served_agui(session_log, make_adder) as other:
        whole = post(one, asked("1 + 2?", thread="whole", run="run"))
        for number in range(6):
            thread = f"cut-{number}"
            seen = post(one, asked("1 + 2?", thread=thread, run="run"), frames=cut_at.randint(1, len(whole.types) - 1))
            with httpx.stream("GET", f"{other}/threads/{thread}?after={seen.last_id}", timeout=20) as response:
                if response.status_code != 204:
                    seen.follow(response)
            assert (seen.messages, seen.state) == (whole.messages, whole.state)


def test_a_thought_is_not_repeated_to_who_was_cut_off_in_the_middle_of_it(session_log: SessionLog) -> None:
    def make(run: AguiRun) -> Agent:
        model = ScriptedModel([SCRIPT[0][0], {"text": "Three."}], chunk=2, pause=0.05)
        return Agent(model=model, session_manager=run.session_manager, hooks=[run.live_tokens], callback_handler=None)

    with served_agui(session_log, make) as url:
        whole = post(url, asked("1 + 2?", thread="whole"))
        seen = post(url, asked("1 + 2?"), frames=whole.types.index("REASONING_MESSAGE_CONTENT") + 2)
        assert seen.types[-1] == "REASONING_MESSAGE_CONTENT"
        with httpx.stream("GET", f"{url}/threads/s", timeout=SOON) as response:
            seen.follow(response)
    assert seen.said == [*WHOLE[:2], ("assistant", "Three.")]


def test_a_post_that_is_sent_again_begins_no_second_run(adder: str, session_log: SessionLog) -> None:
    post(adder, asked("1 + 2?"), frames=2)
    assert post(adder, asked("1 + 2?")).said == WHOLE
    assert post(adder, asked("1 + 2?")).said == WHOLE
    assert len(list(session_log.read("s", types=STARTED))) == 1


def test_a_thread_goes_on_with_another_run(adder: str) -> None:
    post(adder, asked("1 + 2?"))
    seen = post(adder, asked("1 + 2?", "run-2"))
    assert seen.said == WHOLE + WHOLE
    assert get(adder).messages == seen.messages


def test_who_has_all_is_told_to_come_no_more(adder: str) -> None:
    seen = post(adder, asked("1 + 2?"))
    assert httpx.get(f"{adder}/threads/s", headers={"Last-Event-ID": seen.last_id}).status_code == 204


def test_a_second_run_of_a_thread_is_refused_and_the_first_can_be_stopped(session_log: SessionLog) -> None:
    gate = Event()
    with served_agui(session_log, make_waiting(gate)) as url:
        post(url, asked("Go on."), frames=2)
        assert gate.wait(20)
        assert httpx.post(url, json=asked("And?", "run-2")).status_code == 409
        assert httpx.post(f"{url}/threads/s/stop").status_code == 202
        assert get(url).last["outcome"] == {"type": "cancelled"}
        assert httpx.post(f"{url}/threads/s/stop").status_code == 404


def test_a_second_run_of_a_thread_is_queued_where_that_is_wanted(session_log: SessionLog) -> None:
    with served_agui(session_log, make_adder, AguiSettings(lease=2.0, on_busy="queue")) as url:
        post(url, asked("1 + 2?"), frames=2)
        assert post(url, asked("1 + 2?", "run-2")).said == WHOLE + WHOLE


def test_a_worker_that_is_gone_is_told_as_an_error_and_the_thread_goes_on(session_log: SessionLog) -> None:
    ValkeySessionManager("s", log=session_log)
    session_log.append("s", events.Custom(STARTED, {"run": "dead", "message": ""}))
    SessionRuns(session_log, "s").acquire("dead", 0.5)
    with served_agui(session_log, make_adder, AguiSettings(lease=0.3)) as url:
        lost = get(url)
        assert (lost.last["type"], lost.last["code"]) == ("RUN_ERROR", "LOST")
        assert post(url, asked("1 + 2?")).said == WHOLE
    assert [one.event.data["outcome"] for one in session_log.read("s", types=FINISHED)] == ["lost", "success"]


def test_a_run_that_was_lost_goes_on_where_it_was_when_it_is_asked_for_again(session_log: SessionLog) -> None:
    session_log.append("s", events.Custom(STARTED, {"run": "run-1", "message": "user-run-1"}))
    # As far as its worker came: the question is there, and a tool was about to be called.
    call = {"toolUse": {**SCRIPT[0][2]["toolUse"], "toolUseId": "call-run-1"}}
    said: Any = [
        {"role": "user", "content": [{"text": "1 + 2?"}]},
        {"role": "assistant", "content": [*SCRIPT[0][:2], call]},
    ]
    Agent(model=ScriptedModel(""), messages=said, session_manager=ValkeySessionManager("s", log=session_log))
    with served_agui(session_log, make_adder, AguiSettings(lease=0.3)) as url:
        assert get(url).last["code"] == "LOST"
        seen = post(url, asked("1 + 2?"))
        assert seen.said == WHOLE
        assert seen.last["outcome"] == {"type": "success"}
        assert get(url).messages == seen.messages
    assert [one.event.data["outcome"] for one in session_log.read("s", types=FINISHED)] == ["lost", "success"]


def test_what_an_agent_raises_is_told_by_its_class_only(session_log: SessionLog) -> None:
    def make(run: AguiRun) -> Agent:
        raise ValueError("the password is hunter2")

    with served_agui(session_log, make) as url:
        last = post(url, asked("Hello?")).last
    assert (last["type"], last["code"], last["message"]) == ("RUN_ERROR", "FAILED", "the run failed: ValueError")


LEASE = 0.6


@tool
def block(number: int) -> str:
    """Take up a thread for longer than a lease holds."""
    time.sleep(2 * LEASE)
    return "done"


@tool
async def block_all(number: int) -> str:
    """Take up the event loop for as long."""
    time.sleep(2 * LEASE)
    return "done"


def make_late(run: AguiRun) -> Agent:
    time.sleep(2 * LEASE)
    return make_adder(run)


def make_blocking(blocking: Any, calls: int) -> Any:
    def make(run: AguiRun) -> Agent:
        uses = [
            {"toolUse": {"name": blocking.tool_name, "input": {"number": number}, "toolUseId": f"call-{number}"}}
            for number in range(calls)
        ]
        model = ScriptedModel(uses, "Done.")
        return Agent(model=model, tools=[blocking], session_manager=run.session_manager, callback_handler=None)

    return make


# More calls than an event loop has threads.
@pytest.mark.parametrize("make", [make_late, make_blocking(block_all, 1), make_blocking(block, 33)])
def test_a_run_is_not_lost_while_it_blocks_all_it_has(session_log: SessionLog, make: Any) -> None:
    with served_agui(session_log, make, AguiSettings(lease=LEASE, grace=SOON)) as url:
        assert post(url, asked("1 + 2?")).last["type"] == "RUN_FINISHED"
    assert [one.event.data["outcome"] for one in session_log.read("s", types=FINISHED)] == ["success"]


def test_a_run_that_blocks_for_longer_than_it_may_is_given_up_and_its_thread_goes_on(session_log: SessionLog) -> None:
    may_end = Event()

    @tool
    def wait(number: int) -> str:
        """Wait for what does not come."""
        may_end.wait(SOON)
        return "at last"

    short = AguiSettings(longest_run=0.3, grace=0.1)
    with served_agui(session_log, make_adder) as other, served_agui(session_log, make_blocking(wait, 1), short) as url:
        ended = post(url, asked("Wait.")).last
        assert (ended["type"], ended["code"]) == ("RUN_ERROR", "TIMEOUT")
        assert post(other, asked("1 + 2?", "run-2")).said[-1] == WHOLE[-1]
        may_end.set()
        assert not any("at last" in text for _, text in get(other).said)
    assert [one.event.data["outcome"] for one in session_log.read("s", types=FINISHED)] == ["failed", "success"]


def test_a_run_that_takes_longer_than_it_may_is_stopped_and_says_so(session_log: SessionLog) -> None:
    with served_agui(session_log, make_waiting(Event()), AguiSettings(longest_run=0.3, grace=SOON)) as url:
        assert post(url, asked("Go on.")).last["code"] == "TIMEOUT"
    assert SessionRuns(session_log, "s").current() is None


@tool(context=True)
def refund(tool_context: ToolContext) -> str:
    """Give money back."""
    return f"given: {tool_context.interrupt('approve', reason='give 10 back?')}"


def make_refunder(run: AguiRun) -> Agent:
    calls = [{"toolUse": {"name": "refund", "input": {}, "toolUseId": "call-1"}}]
    model = ScriptedModel("Done.") if run.input.resume else ScriptedModel(calls, "Done.")
    return Agent(
        model=model,
        tools=[refund],
        session_manager=run.session_manager,
        hooks=[run.live_tokens],
        callback_handler=None,
    )


def test_an_interrupt_ends_a_run_and_its_answer_begins_the_next(session_log: SessionLog) -> None:
    with served_agui(session_log, make_refunder) as url:
        outcome = post(url, asked("My money!")).last["outcome"]
        (waiting,) = outcome["interrupts"]
        assert (outcome["type"], waiting["reason"], waiting["message"]) == ("interrupt", "approve", "give 10 back?")
        answer = [{"interruptId": waiting["id"], "status": "resolved", "payload": "yes"}]
        seen = post(url, asked("", "run-2", resume=answer))
    assert seen.said[-2:] == [("tool", "given: yes"), ("assistant", "Done.")]
    assert seen.last["outcome"] == {"type": "success"}


@pytest.mark.parametrize(
    ("path", "status"),
    [("threads/none", 404), ("threads/s?after=nonsense", 400), ("threads/a%00b", 400)],
)
def test_what_cannot_be_followed_is_refused(adder: str, path: str, status: int) -> None:
    assert httpx.get(f"{adder}/{path}").status_code == status


ANSWERED: Any = {**asked("x"), "messages": [{"id": "1", "role": "assistant", "content": "x"}]}


@pytest.mark.parametrize("body", [{}, asked(""), ANSWERED])
def test_what_asks_nothing_is_refused(adder: str, body: Any) -> None:
    refused = httpx.post(adder, json=body)
    assert refused.status_code == 422
    assert refused.json()["error"]


def test_all_runs_together_have_the_grace_that_is_given(session_log: SessionLog) -> None:
    def make(run: AguiRun) -> Agent:
        model = ScriptedModel("word " * 4000, chunk=5, pause=0.01)
        return Agent(model=model, session_manager=run.session_manager, callback_handler=None)

    with served_agui(session_log, make, AguiSettings(grace=1.0)) as url:
        for number in range(4):
            post(url, asked("Go on.", thread=f"s-{number}"), frames=2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 3.5
    ended = [one.event.data["outcome"] for one in session_log.read("s-3", types=FINISHED)]
    assert ended == ["cancelled"]


@pytest.mark.parametrize(
    "settings",
    [{"lease": 0}, {"heartbeat": 0.0}, {"kept": 0}, {"kept_bytes": 0}, {"longest_run": 0.0}, {"on_busy": "wait"}],
)
def test_settings_that_cannot_be_are_refused(settings: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        AguiSettings(**settings)


def test_a_thread_that_no_agent_could_have_is_refused(adder: str) -> None:
    refused = httpx.post(adder, json=asked("1 + 2?", thread="a/b"))
    assert (refused.status_code, "path separators" in refused.json()["error"]) == (400, True)


def test_a_thread_that_cannot_be_read_is_refused_rather_than_waited_for(
    adder: str, session_log: SessionLog, tmp_path: Path, server_url: str
) -> None:
    keys = LocalKeys.new(tmp_path / "keys")
    with SessionLog.connect(server_url, namespace=session_log.namespace, encryption=keys) as encrypted:
        Agent(ScriptedModel("Hello."), session_manager=ValkeySessionManager("s", log=encrypted))("Hello?")
    assert httpx.get(f"{adder}/threads/s", timeout=SOON).status_code == 503
    assert httpx.post(adder, json=asked("1 + 2?"), timeout=SOON).status_code == 503
    assert SessionRuns(session_log, "s").current() is None


def test_what_has_half_a_character_is_shown_with_a_mark_for_it(session_log: SessionLog) -> None:
    @tool
    def look() -> str:
        """Look into a file."""
        return "caf\udce9"

    def make(run: AguiRun) -> Agent:
        model = ScriptedModel([{"toolUse": {"name": "look", "input": {}, "toolUseId": "1"}}], "It says caf\udce9.")
        return Agent(model=model, tools=[look], session_manager=run.session_manager, callback_handler=None)

    with served_agui(session_log, make) as url:
        seen = post(url, asked("What does it say?"))
        assert seen.said[-2:] == [("tool", "caf?"), ("assistant", "It says caf?.")]
        assert get(url).messages == seen.messages


def test_who_is_not_authorized_neither_runs_nor_follows_nor_stops(session_log: SessionLog) -> None:
    def authorize(request: Any, thread_id: str) -> Any:
        return request.headers.get("authorization") == f"for {thread_id}"

    with served_agui(session_log, make_adder, authorize=authorize) as url:
        assert httpx.post(url, json=asked("1 + 2?")).status_code == 403
        assert httpx.get(f"{url}/threads/s").status_code == 403
        assert httpx.post(f"{url}/threads/s/stop").status_code == 403
        with httpx.stream("POST", url, json=asked("1 + 2?"), headers={"Authorization": "for s"}) as response:
            assert FrontEnd().follow(response).said == WHOLE


def test_what_is_erased_is_taken_back_from_those_who_follow_again(adder: str, session_log: SessionLog) -> None:
    post(adder, asked("1 + 2?"))
    first = next(iter(session_log.read("s", types="message.added")))
    session_log.erase("s", first.id, reason="asked to")
    wait_until(lambda: "1 + 2?" not in str(get(adder).messages), "it is taken back")
    assert get(adder).said[-1] == WHOLE[-1]
