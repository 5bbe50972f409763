"""Followers of a thread: those who hear nothing for long, are too slow, or follow when another run has begun."""

from __future__ import annotations

import asyncio
import json
from copy import deepcopy
from threading import Event
from typing import Any

import httpx
import pytest
from strands import Agent

from strands_session_log import LiveTokens, SessionLog, SessionRuns, ValkeySessionManager, events
from strands_session_log.testing import ScriptedModel
from strands_session_log_consumers.agui.channel import ThreadHub
from strands_session_log_consumers.agui.conversation import FINISHED, STARTED, TOLD
from support.following import SOON
from support.served_agui import SCRIPT, AguiRun, AguiSettings, FrontEnd, asked, frames_of, plus, served_agui

THREAD = "s"


def started(run: str) -> events.Custom:
    return events.Custom(STARTED, {"run": run, "message": ""})


def test_who_follows_hears_a_sign_of_life_while_nothing_is_said(session_log: SessionLog) -> None:
    may_go_on = Event()

    def make(run: AguiRun) -> Agent:
        assert may_go_on.wait(SOON)
        return Agent(model=ScriptedModel("Done."), session_manager=run.session_manager, callback_handler=None)

    with (
        served_agui(session_log, make, AguiSettings(lease=2.0, heartbeat=0.05)) as url,
        httpx.stream("POST", url, json=asked("Hello?"), timeout=SOON) as response,
    ):
        lines = response.iter_lines()
        beats = [line for line, _ in zip((line for line in lines if line == ": still there"), range(3), strict=False)]
        may_go_on.set()
        assert len(beats) == 3
        assert any("RUN_FINISHED" in line for line in lines)


def test_who_is_further_behind_than_is_kept_is_cut_off_and_comes_again(session_log: SessionLog) -> None:
    async def follow() -> None:
        hub = ThreadHub(session_log, AguiSettings(kept=4))
        with hub.channel(THREAD) as channel:
            frames = channel.frames(0)
            assert b"RUN_STARTED" in await anext(frames)
            for number in range(6):
                last = await asyncio.to_thread(session_log.append, THREAD, started(f"run-{number}"))
            await channel.known(last.revision)
            # Those who keep up have their turn.
            await asyncio.sleep(0)
            assert [frame async for frame in frames] == [b": too slow, come again\n\n"]
            assert b"run-5" in await anext(channel.frames(last.revision))
        hub.close()

    session_log.append(THREAD, started("run"))
    with SessionRuns(session_log, THREAD).acquire("run", SOON):
        asyncio.run(follow())


def told(run: str, text: str) -> events.Custom:
    return events.Custom(TOLD, {"run": run, "event": {"type": "CUSTOM", "name": "said", "value": text}})


def test_who_is_more_bytes_behind_than_are_kept_is_cut_off_and_what_is_longer_reaches_the_others(
    session_log: SessionLog,
) -> None:
    async def follow() -> None:
        hub = ThreadHub(session_log, AguiSettings(kept_bytes=3000))
        with hub.channel(THREAD) as channel:
            slow, quick = channel.frames(0), channel.frames(0)
            for frames in (slow, quick):
                assert b"RUN_STARTED" in await anext(frames)
            await asyncio.to_thread(session_log.append, THREAD, told("run", "long" * 2500))
            assert b"longlong" in await anext(quick)
            for number in range(4):
                await asyncio.to_thread(session_log.append, THREAD, told("run", f"{number}" * 1000))
                assert f"{number}{number}".encode() in await anext(quick)
            assert [frame async for frame in slow] == [b": too slow, come again\n\n"]
        hub.close()

    session_log.append(THREAD, started("run"))
    with SessionRuns(session_log, THREAD).acquire("run", SOON):
        asyncio.run(follow())


def test_who_keeps_up_is_not_cut_off_however_much_comes_at_once(session_log: SessionLog) -> None:
    async def follow() -> None:
        hub = ThreadHub(session_log, AguiSettings(kept_bytes=3000))
        with hub.channel(THREAD) as channel:
            frames = channel.frames(0)
            assert b"RUN_STARTED" in await anext(frames)
            at_once = [told("run", "before"), told("run", "long" * 2500), told("run", "behind"), note]
            await asyncio.to_thread(session_log.append, THREAD, at_once)
            said = b""
            while b"behind" not in said:
                said += await anext(frames)
            assert b"before" in said
            assert b"longlong" in said
        hub.close()

    note = events.Custom("custom.note", {})
    session_log.append(THREAD, started("run"))
    with SessionRuns(session_log, THREAD).acquire("run", SOON):
        asyncio.run(follow())


def test_what_was_written_of_runs_is_known_before_another_begins(session_log: SessionLog) -> None:
    async def follow() -> None:
        hub = ThreadHub(session_log, AguiSettings())
        with hub.channel(THREAD) as channel:
            assert await channel.known()
            # While the loop stands, so that nobody has read it yet.
            session_log.append(THREAD, events.Custom(FINISHED, {"run": "run", "outcome": "success"}))
            known = await channel.caught_up()
            assert known is not None
            assert not known.before("run").was_lost
        hub.close()

    session_log.append(THREAD, started("run"))
    with SessionRuns(session_log, THREAD).acquire("run", SOON):
        asyncio.run(follow())


def test_who_follows_a_run_is_told_nothing_of_the_next(session_log: SessionLog) -> None:
    async def follow() -> None:
        hub = ThreadHub(session_log, AguiSettings())
        with hub.channel(THREAD) as channel:
            frames = channel.frames(0)
            assert b"RUN_STARTED" in await anext(frames)
            ended = events.Custom(FINISHED, {"run": "run", "outcome": "success"})
            for event in (ended, started("next")):
                last = await asyncio.to_thread(session_log.append, THREAD, event)
            await channel.known(last.revision)
            told = b"".join([frame async for frame in frames])
            assert b"RUN_FINISHED" in told
            assert b"next" not in told
        hub.close()

    session_log.append(THREAD, started("run"))
    with SessionRuns(session_log, THREAD).acquire("run", SOON):
        asyncio.run(follow())


def add(log: SessionLog) -> None:
    """A run that was begun, to its end."""
    with SessionRuns(log, THREAD).acquire("run", SOON):
        manager, tokens = ValkeySessionManager(THREAD, log=log), LiveTokens(log, THREAD, interval=0.0)
        model = ScriptedModel(*SCRIPT, chunk=8, pause=0.005)
        Agent(model=model, tools=[plus], session_manager=manager, hooks=[tokens], callback_handler=None)("1 + 2?")
        tokens.flush()
        log.append(THREAD, events.Custom(FINISHED, {"run": "run", "outcome": "success"}))


def test_who_comes_back_with_the_id_of_any_frame_is_told_what_followed(session_log: SessionLog) -> None:
    async def follow() -> tuple[list[Any], list[list[Any]]]:
        hub = ThreadHub(session_log, AguiSettings())
        with hub.channel(THREAD) as channel:
            running = asyncio.create_task(asyncio.to_thread(add, session_log))
            whole = [one for sent in [sent async for sent in channel.frames(1)] for one in frames_of(sent)]
            await running
            again = []
            for id_, _ in whole[:-1]:
                sent = b"".join([sent async for sent in channel.frames(1, id_)])
                again.append([*frames_of(sent)])
        hub.close()
        return whole, again

    session_log.append(THREAD, started("run"))
    whole, again = asyncio.run(follow())
    undisturbed, are_whole = front_end(whole), []
    assert undisturbed.types.count("TEXT_MESSAGE_CONTENT") > 4
    for place, rest in enumerate(again, 1):
        back = front_end([*whole[:place], *rest])
        assert (back.messages, back.state) == (undisturbed.messages, undisturbed.state), whole[place - 1]
        assert rest[0][1]["type"] == "RUN_STARTED"
        are_whole.append(rest[1][1]["type"] == "MESSAGES_SNAPSHOT")
    # Only who was cut off in the middle of what is told to begin with is told all of it again.
    assert not any(are_whole[len(again) // 3 :])


def front_end(frames: list[Any]) -> FrontEnd:
    found = FrontEnd()
    for id_, event in frames:
        found.take(id_, deepcopy(event))
    return found


def test_an_id_of_another_replica_is_told_all_of_the_thread(session_log: SessionLog) -> None:
    async def follow() -> None:
        hub = ThreadHub(session_log, AguiSettings())
        with hub.channel(THREAD) as channel:
            told = await anext(channel.frames(0, "1700000000000-12.1700000004000-3"))
            assert [event["type"] for _, event in frames_of(told)][:2] == ["RUN_STARTED", "MESSAGES_SNAPSHOT"]
        hub.close()

    session_log.append(THREAD, started("run"))
    add(session_log)
    asyncio.run(follow())


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("size", [1000, 1001])
def test_a_request_that_is_too_long_is_refused(session_log: SessionLog, size: int) -> None:
    with served_agui(session_log, lambda run: None, AguiSettings(most_bytes=1000)) as url:
        assert httpx.post(url, content=b" " * size, headers=JSON).status_code == (422 if size == 1000 else 413)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_page_of_another_site_may_send_unasked_begins_no_run(session_log: SessionLog, kind: str) -> None:
    with served_agui(session_log, lambda run: None) as url:
        content = json.dumps(asked("Hello?"))
        assert httpx.post(url, content=content, headers={"Content-Type": kind}).status_code == 415
    assert not session_log.sessions()
