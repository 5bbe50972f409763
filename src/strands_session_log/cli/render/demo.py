"""The demo on the terminal: its steps as they happen, then what they prove, then what to try next."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from shutil import which

from rich.console import Console
from rich.text import Text

from ... import DEFAULT_NAMESPACE
from ...demo import AgentResumed, Began, DemoError, Killed, StoryEnded, play
from ..context import Target
from ..terminal import count, hanging, plain, put
from .events import print_events
from .messages import print_conversation

__all__ = ["DemoError", "tell"]


def tell(terminal: Console, target: Target, lasting: bool) -> tuple[str, bool]:
    """Play the demo, on a server that is `lasting` or not; its session, and whether all is as promised."""
    session_id, left, kept = "", 0, False
    for step in play(target.url, target.namespace):
        match step:
            case Began():
                session_id = step.session_id
                _began(terminal, step, target.shown_url if lasting else "started for this demo")
            case Killed():
                _killed(terminal, step)
                left = len(step.events)
            case AgentResumed():
                _resumed(terminal, step)
            case StoryEnded():
                kept = _ended(terminal, step, left)
    _try_next(terminal, _commands(target, session_id, left) if lasting else _beginnings())
    return session_id, kept


def _began(terminal: Console, step: Began, where: str) -> None:
    put(terminal, "\nA conversation that survives kill -9", "bold")
    put(terminal, f"{step.server}, {plain(where)}; session {step.session_id}", "dim")


def _killed(terminal: Console, step: Killed) -> None:
    _section(
        *(terminal, 1, "A process runs an agent, and dies in mid-conversation"),
        f"Process {step.pid} asked the agent what to pack. The model called a tool, the tool answered.",
        f"Then, before the model could draw its conclusion: kill -9 {step.pid}.",
        f"{count(len(step.events), 'event')} had been written by then.",
    )


def _resumed(terminal: Console, step: AgentResumed) -> None:
    _section(
        *(terminal, 2, "Another process resumes it"),
        f"Process {step.pid} opened the same session and found {count(step.restored, 'message')}.",
        "It went on where the first one had stopped: the model concluded, and the user went on.",
    )


def _ended(terminal: Console, step: StoryEnded, left: int) -> bool:
    which_are_whose = f"The first {left} are from the process that was killed, the others from the one that resumed."
    _section(terminal, 3, "What is in Valkey: one stream of events", which_are_whose)
    print_events(terminal, step.events)
    _section(terminal, 4, "The conversation, restored from these events")
    print_conversation(terminal, step.state.agents.values())
    # The conversation ends with an empty line of its own.
    _section(terminal, 5, "What was promised", gap="")
    for promise in step.promises:
        mark = Text("   ✓ ", "green") if promise.kept else Text("   ✗ ", "red")
        put(terminal, hanging(terminal, mark, Text(promise.text)))
    put(terminal, hanging(terminal, Text("     "), Text(f"link {step.verification.link}", "dim")))
    return all(promise.kept for promise in step.promises)


def _try_next(terminal: Console, lines: list[str]) -> None:
    put(terminal, "\nTry next", "bold")
    for line in lines:
        put(terminal, f"   {line}".rstrip())
    put(terminal)


def _beginnings() -> list[str]:
    return [
        f"{_program()} demo --keep ./demo     # keeps the session, to look around in",
        f"{_program()} demo --view            # shows it in a browser",
        "",
        "from strands_session_log import ValkeySessionManager",
        'manager = ValkeySessionManager("s-42", url="embedded:///tmp/my-sessions")',
        "agent = Agent(session_manager=manager)",
    ]


def _program() -> str:
    """How to call this program so that the shell finds it: by name, or as it was called now."""
    called = Path(sys.argv[0])
    if which("session-log") or called.name != "session-log":
        return "session-log"
    return shlex.quote(os.path.relpath(called))


def _commands(target: Target, session_id: str, left: int) -> list[str]:
    namespace = "" if target.namespace == DEFAULT_NAMESPACE else f" --namespace {shlex.quote(target.namespace)}"
    program = _program()
    return [
        f"export SESSION_LOG_URL={shlex.quote(target.shown_url)}",
        f"{program} show {session_id}{namespace} --at {left}     # as the first process left it",
        f"{program} events {session_id}{namespace} --type 'message.*' --json",
        f"{program} verify {session_id}{namespace}",
        f"{program} view {session_id}{namespace}",
        f"{program} delete {session_id}{namespace}",
    ]


def _section(terminal: Console, number: int, title: str, *sentences: str, gap: str = "\n") -> None:
    put(terminal, Text.assemble(gap, (f"{number}  ", "bold cyan"), (title, "bold")))
    for sentence in sentences:
        put(terminal, hanging(terminal, Text("   "), Text(sentence)))
