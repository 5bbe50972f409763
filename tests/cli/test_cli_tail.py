"""`session-log tail`: what it prints, at once, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from subprocess import PIPE
from threading import Thread

import pytest
from strands import Agent

import strands_session_log
from strands_session_log import LiveTokens, SessionLog, ValkeySessionManager, events
from support import wait_until
from support.command_line import Run, message
from support.following import SOON
from support.programs import COMMAND_LINE, Program
from support.servers import Server
from support.speaking import SpeakingModel, speaking

SOURCE = str(Path(strands_session_log.__file__).parents[1])


class Following:
    """`session-log tail` as a process, read line by line."""

    def __init__(self, url: str, namespace: str, *arguments: str) -> None:
        mine = {"SESSION_LOG_URL": url, "SESSION_LOG_NAMESPACE": namespace, "PYTHONPATH": SOURCE, "COLUMNS": "100"}
        self._process = Program(
            [*COMMAND_LINE, "tail", *arguments],
            env={**os.environ, **mine},
            stdout=PIPE,
            stderr=PIPE,
            text=True,
            start_new_session=True,
        )
        self._lines: Queue[str] = Queue()
        self._written = ""
        Thread(target=self._read, daemon=True).start()

    def lines(self, count: int) -> list[str]:
        """The next lines that are not blank."""
        return [self._lines.get(timeout=SOON) for _ in range(count)]

    def until(self, text: str) -> str:
        """The lines up to one with this text."""
        found = ""
        while text not in found:
            found += self._lines.get(timeout=SOON) + "\n"
        return found

    def until_written(self, text: str) -> None:
        """Wait until something was written, whether or not its line has ended."""
        wait_until(lambda: text in self._written, f"{text!r} to be written", SOON)

    def complaint(self) -> str:
        """The next line on standard error."""
        assert self._process.stderr is not None
        return str(self._process.stderr.readline())

    def interrupt(self) -> tuple[int, str]:
        """End it as Ctrl-C does, pressed again if need be: its exit code, and what it says then."""
        deadline = time.monotonic() + SOON
        while True:
            # Python loses an interrupt that comes while it runs a destructor.
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(2)
                return self.ended()
            except subprocess.TimeoutExpired:
                assert time.monotonic() < deadline, "it goes on"

    def ended(self) -> tuple[int, str]:
        """Wait for its end."""
        code = self._process.wait(SOON)
        assert self._process.stderr is not None
        return code, self._process.stderr.read()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        descriptor, rest = self._process.stdout.fileno(), ""
        while chunk := os.read(descriptor, 65_536).decode():
            self._written += chunk
            *lines, rest = (rest + chunk).split("\n")
            for line in filter(str.strip, lines):
                self._lines.put(line)


@pytest.fixture
def follow(server_url: str, namespace: str) -> Iterator[Callable[..., Following]]:
    begun: list[Following] = []

    def begin(*arguments: str, url: str = server_url) -> Following:
        begun.append(Following(url, namespace, *arguments))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


Follow = Callable[..., Following]


def test_the_last_turn_comes_first_and_then_what_happens(talk: SessionLog, follow: Follow) -> None:
    talk.append("s-42", [message(4, "user", "And an umbrella?"), message(5, "assistant", "Not in July.")])
    tail = follow("s-42")
    shown = tail.until("Not in July.")
    assert "And an umbrella?" in shown
    assert "A light jacket." not in shown
    talk.append("s-42", message(6, "user", "Thanks!"))
    assert "Thanks!" in tail.until("Thanks!")
    code, said = tail.interrupt()
    assert code == 130
    last = talk.state("s-42").revision
    assert said == f"session-log: stopped; go on with: session-log tail s-42 --since {last}\n"


def test_json_has_what_comes_and_goes_on_where_it_stopped(talk: SessionLog, follow: Follow) -> None:
    tail = follow("s-42", "--json", "--since", "5")
    (first,) = tail.lines(1)
    talk.append("s-42", message(4, "user", "Thanks!"))
    (second,) = tail.lines(1)
    _, said = tail.interrupt()
    assert [json.loads(line)["type"] for line in (first, second)] == ["message.added"] * 2
    talk.append("s-42", events.Custom("custom.note", {}))
    again = follow("s-42", "--json", "--since", said.split("--since ")[1].split()[0])
    assert json.loads(again.lines(1)[0])["type"] == "custom.note"


def test_a_session_that_is_not_there_yet_is_waited_for(log: SessionLog, follow: Follow) -> None:
    tail = follow("s-42")
    assert "waiting for it" in tail.complaint()
    log.append("s-42", message(0, "user", "Hello?"))
    assert "Hello?" in tail.until("Hello?")


def test_all_sessions_are_told_in_a_line_each(talk: SessionLog, follow: Follow) -> None:
    tail = follow("--since", "-1h", "--type", "message.*", "--type", "custom.note", "--agent", "default")
    told = tail.lines(4)
    assert [line.split("default  ")[1] for line in told] == [
        "user: What should I pack?",
        'assistant: Let me look. → forecast(city="Lisbon", days=2)',
        "tool: ← 19 °C",
        "assistant: A light jacket.",
    ]
    talk.append("s-43", events.Custom("custom.note", {}, "default"))
    assert "s-43" in tail.lines(1)[0]


def test_a_cursor_goes_on_behind_its_line(talk: SessionLog, follow: Follow) -> None:
    tail = follow("--json", "--since", "-1h")
    lines = [json.loads(line) for line in tail.lines(6)]
    code, said = tail.interrupt()
    assert code == 130
    assert said == f"session-log: stopped; go on with: session-log tail --after {lines[-1]['cursor']} --json\n"
    again = follow("--json", "--after", lines[3]["cursor"])
    assert [json.loads(line)["id"] for line in again.lines(2)] == [line["id"] for line in lines[4:]]


def test_a_deleted_session_ends_it(talk: SessionLog, follow: Follow) -> None:
    tail = follow("s-42")
    tail.until("A light jacket.")
    talk.delete("s-42")
    code, said = tail.ended()
    assert (code, len(said.splitlines())) == (3, 1)
    assert "deleted" in said


def make_speaker(log: SessionLog) -> Agent:
    """An agent of session "s-42" that says a word when it may."""
    manager, live = ValkeySessionManager("s-42", log=log), LiveTokens(log, "s-42")
    return Agent(model=SpeakingModel(["Word by word."]), session_manager=manager, hooks=[live], callback_handler=None)


def test_words_are_printed_as_they_are_said_and_then_the_message(log: SessionLog, follow: Follow) -> None:
    agent = make_speaker(log)
    with speaking(agent):
        tail = follow("s-42", "--live", "--json", "--since", "0")
        while (line := json.loads(tail.lines(1)[0])).get("type") != "message.added":
            pass
        agent.model.say(1)  # type: ignore[attr-defined]
        piece = json.loads(tail.lines(1)[0])
        assert (piece["kind"], piece["text"], piece["agent"]) == ("text", "Word b", "default")
        agent.model.say(100)  # type: ignore[attr-defined]
        while (line := json.loads(tail.lines(1)[0])).get("type") != "message.added":
            pass
        assert line["data"]["message"]["content"] == [{"text": "Word by word."}]


def test_words_go_on_after_the_cursor_of_a_line(log: SessionLog, follow: Follow) -> None:
    agent = make_speaker(log)
    with speaking(agent):
        tail = follow("s-42", "--live", "--json", "--since", "0")
        agent.model.say(1)  # type: ignore[attr-defined]
        while (piece := json.loads(tail.lines(1)[0])).get("kind") != "text":
            pass
        again = follow("s-42", "--live", "--json", "--after", piece["cursor"])
        agent.model.say(1)  # type: ignore[attr-defined]
        assert json.loads(again.lines(1)[0])["text"] == "y word"
        code, said = again.interrupt()
        assert code == 130
        assert f"--after {piece['cursor'].split('.')[0]}." in said


def test_words_are_written_out_where_nobody_sees_a_terminal(log: SessionLog, follow: Follow) -> None:
    agent = make_speaker(log)
    with speaking(agent):
        tail = follow("s-42", "--live")
        tail.until("Hello?")
        agent.model.say(1)  # type: ignore[attr-defined]
        tail.until_written("Word b")
        agent.model.say(100)  # type: ignore[attr-defined]
        assert "assistant" in tail.until("Word by word.")
    assert tail.interrupt()[0] == 130


def test_a_gap_is_told_and_followed_on(tcp_server: Server, namespace: str, follow: Follow) -> None:
    log = SessionLog(tcp_server.client(), namespace)
    log.append("s-42", message(0, "user", "Hello?"))
    tail = follow("--since", "-1h", url=tcp_server.url)
    tail.lines(1)
    tcp_server.execute("FLUSHALL")
    assert "warning" in tail.complaint()
    log.append("s-42", message(0, "user", "Hello?"))
    assert "s-42" in tail.lines(1)[0]


@pytest.mark.faults
@pytest.mark.parametrize("options", [("s", "--json"), ("s",), ("s", "--live"), ()], ids=" ".join)
def test_a_server_that_is_away_is_told_on_standard_error_and_so_is_its_return(
    tcp_server: Server, namespace: str, follow: Follow, options: tuple[str, ...]
) -> None:
    tcp_server.execute("CONFIG", "SET", "appendfsync", "always")
    with SessionLog.connect(tcp_server.url, namespace) as log:
        log.append("s", message(0, "user", "First."))
        tail = follow(*options, "--since", "0" if options else "-1h", url=tcp_server.url)
        tail.lines(1)
        tcp_server.kill()
        away = r"session-log: the server cannot be reached: .+[^.]; waiting since \d\d:\d\d:\d\d\n"
        assert re.fullmatch(away, tail.complaint())
        tcp_server.restart()
        assert re.fullmatch(r"session-log: the server is back after \d+\.\d s\n", tail.complaint())
        log.append("s", message(1, "assistant", "Second."))
        assert tail.lines(1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "banana"),
        ("--since", "12"),
        ("s-42", "--after", "0:1-1"),
        ("s-42", "--live", "--after", "0:1-1"),
        ("s-42", "--live", "--after", "1-1.1-1", "--since", "1"),
        ("--after", "99:1-1"),
        ("--live",),
        ("s-42", "--live", "--type", "custom.x"),
    ],
)
def test_wrong_usage_ends_with_2(talk: SessionLog, run: Run, arguments: tuple[str, ...]) -> None:
    said = run("tail", *arguments, exit_code=2).stderr
    assert any(argument in said for argument in arguments if argument != "s-42")
