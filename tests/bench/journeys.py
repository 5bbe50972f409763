"""How far four journeys go through the house: `python -m tests.bench.journeys`.

Counted are the calls of our own functions, the files they lie in, and how often the next call lies in another file than
the one before: what somebody who reads along has to open.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from strands import Agent

import strands_session_log
from strands_session_log import SessionLog, Subscriber, ValkeySessionManager, events
from strands_session_log.testing.model import ScriptedModel

_OURS = str(Path(strands_session_log.__file__).parent)


@dataclass
class Journey:
    """The files of the calls on the way, in order; by thread, since threads do not take turns for a reader."""

    calls: dict[int, list[str]] = field(default_factory=dict)

    def __call__(self, frame: FrameType, what: str, _: object) -> None:
        """A profiler, as `sys.setprofile` takes it."""
        if what == "call" and frame.f_code.co_filename.startswith(_OURS):
            self.calls.setdefault(threading.get_ident(), []).append(frame.f_code.co_filename)

    def __str__(self) -> str:
        files = {name for calls in self.calls.values() for name in calls}
        changes = sum(one != other for calls in self.calls.values() for one, other in pairwise(calls))
        return f"{sum(map(len, self.calls.values())):>6} calls {len(files):>4} files {changes:>5} changes of file"


def walk(way: Callable[[], object]) -> Journey:
    """Go it once, with the profiler in every thread that begins on the way, and in this one."""
    journey = Journey()
    threading.setprofile(journey)
    sys.setprofile(journey)
    try:
        way()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return journey


def note() -> events.Event:
    """Something to append."""
    return events.Custom("custom.note", {"text": "hello"})


def agent(log: SessionLog, session_id: str, model: ScriptedModel) -> Any:
    """An agent that answers."""
    manager = ValkeySessionManager(session_id, log=log)
    return Agent(model=model, session_manager=manager, callback_handler=None)


def main() -> None:
    """Print the four of them."""
    with SessionLog.connect("embedded:") as log:
        # No part of the log, and made before.
        model = ScriptedModel(["Yes."] * 9)
        talking = agent(log, "s", model)
        talking("Warm up.")
        log.append("t", note())
        with Subscriber(log, "g", bodies=True):
            pass

        def delivered() -> None:
            # Its threads begin on the way, so that what they call counts, too.
            with Subscriber(log, "g", bodies=True) as deliveries:
                log.append("t", note())
                next(iter(deliveries)).ack()

        ways: dict[str, Callable[[], object]] = {
            "a plain turn": lambda: talking("Hello?"),
            "one append": lambda: log.append("t", note()),
            "resume": lambda: agent(log, "s", model),
            "subscribe, append, deliver": delivered,
        }
        for name, way in ways.items():
            Console().print(f"{name:<28} {walk(way)}", highlight=False)


if __name__ == "__main__":
    main()
