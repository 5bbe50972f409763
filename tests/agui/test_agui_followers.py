"""Followers of a thread: those who hear nothing for long, are too slow, or follow when another run has begun."""

from __future__ import annotations

import asyncio
from threading import Event

import httpx
from strands import Agent

from strands_session_log import SessionLog, SessionRuns, events
from strands_session_log.testing import ScriptedModel
from strands_session_log_consumers.agui.channel import ThreadHub
from strands_session_log_consumers.agui.conversation import FINISHED, STARTED
from support.following import SOON
from support.served_agui import AguiRun, AguiSettings, asked, served_agui

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
            assert [frame async for frame in frames] == [b": too slow, come again\n\n"]
            assert b"run-5" in await anext(channel.frames(last.revision))
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
