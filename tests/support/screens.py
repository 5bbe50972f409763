"""The screens of docs/cli.md: `make screens` writes them anew, from real conversations of the demo's agents.

A test holds what stands there against what the commands print, but for times, durations, hashes and ids.
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from strands import Agent, tool

from strands_session_log import SessionLog, Subscriber, ValkeySessionManager
from strands_session_log.demo.conversation import FOLLOW_UP, QUESTION, make_agent
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel
from support.terminal import Terminal, environment_of, in_terminal, words_in

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
COLUMNS = 120

_SCREEN = re.compile(r"(?<=```console\n\$ )(?P<command>session-log [^\n]*)\n(?P<shown>.*?)(?=```)", re.DOTALL)
_CHANGES = (
    (r"(user|assistant|tool): [^\n]*…", r"\1: …"),  # cut off where there was no more room
    (r"[A-Za-z0-9_-]{20,}", "~"),  # hashes and ids
    (r"\d+(\.\d+)? ?(ms|min|s|h|d)\b", "#"),  # durations
    (r"[\d,.:]+", "#"),
    (r"[ ]+", " "),
)


@tool
def refund(order: str, amount: int) -> str:
    """Give money back.

    Args:
        order: For which order.
        amount: How much.
    """
    return f"{amount} EUR for order {order}"


def approve(event: Any) -> None:
    """What asks a person before money is given back."""
    if event.interrupt("approval", reason="More than 100 EUR: may I?") != "yes":
        event.cancel_tool = "denied"


def write(log: SessionLog) -> None:
    """Some conversations: two that ended well, one that waits for a person, one that failed; and who follows them."""
    traveller = make_agent(ValkeySessionManager("trip-lisbon", log=log), lambda: None)
    traveller(QUESTION)
    traveller(FOLLOW_UP)
    call = {"toolUse": {"toolUseId": "call-refund", "name": "refund", "input": {"order": "A-17", "amount": 310}}}
    clerk = _agent(log, "refund-17", ["I will see to it.", [call]], "clerk", tools=[refund])
    clerk.hooks.add_callback(hook_event("BeforeToolCallEvent"), approve)
    clerk("My order A-17 came broken.")
    clerk("Please give me my money back.")
    reporter = _agent(log, "nightly-report", [RuntimeError("no answer from the model within 60 s")], "reporter")
    with suppress(RuntimeError):
        reporter("Sum up what happened today.")
    _agent(log, "support-7", ["Hold the button for ten seconds."], "helper")("How do I reset the router?")
    with Subscriber(log, "search", start="beginning") as deliveries:
        for number, delivery in zip(range(20), deliveries, strict=False):
            delivery.park("the index refused it") if number == 3 else delivery.ack()


def _agent(log: SessionLog, session_id: str, script: list[Any], name: str, **options: Any) -> Agent:
    manager = ValkeySessionManager(session_id, log=log)
    model = ScriptedModel(script)
    return Agent(model=model, session_manager=manager, agent_id=name, callback_handler=None, **options)


@contextmanager
def conversations() -> Iterator[Mapping[str, str]]:
    """The environment in which commands find them."""
    with TemporaryDirectory() as directory:
        url = f"embedded://{directory}/sessions"
        with SessionLog.connect(url) as log:
            write(log)
            yield environment_of(url, "strands")


def _shown(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    if arguments[0] != "tail":
        return in_terminal(environment, *arguments, columns=COLUMNS)
    terminal = Terminal(environment, *arguments, width=COLUMNS)
    try:
        terminal.until("invocation completed")
        terminal.process.send_signal(signal.SIGINT)
        return words_in(terminal.to_the_end())
    finally:
        terminal.close()


def anew(page: str, environment: Mapping[str, str]) -> str:
    """A page with each screen as it is now."""

    def screen(found: re.Match[str]) -> str:
        command = found["command"]
        shown = _shown(shlex.split(command)[1:], environment)
        return f"{command}\n" + "".join(f"{line.rstrip()}\n" for line in shown.strip("\n").splitlines())

    return _SCREEN.sub(screen, page)


def steady(page: str) -> str:
    """A page without what is another each time."""
    for pattern, instead in _CHANGES:
        page = re.sub(pattern, instead, page)
    return page


if __name__ == "__main__":
    with conversations() as found:
        PAGE.write_text(anew(PAGE.read_text(), found))
