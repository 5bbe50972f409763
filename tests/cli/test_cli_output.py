"""Standard output that cannot be written, usage errors, and text that would not be seen as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest
from typer.main import get_command

from strands_session_log import Delta, EventId, SessionLog, events
from strands_session_log.cli.app import app
from strands_session_log.cli.render.live import PartialMessage
from strands_session_log.codec.delta import Line
from strands_session_log.unseen import escaped, escaped_json
from support.command_line import Run, message
from support.programs import COMMAND_LINE, Program
from support.terminal import in_terminal, shown_in_terminal

EXECUTABLE = Path(sys.executable).with_name("session-log")
FULL = Path("/dev/full")
CANNOT_BE_WRITTEN = 5
PRINTING = [
    ("--help",),
    ("--version",),
    ("sessions",),
    ("show", "s-42"),
    ("show", "--help"),
    ("replay", "s-42"),
    ("events", "s-42"),
    ("diff", "s-42", "3"),
    ("rewind", "s-42", "3", "--dry-run"),
    ("verify", "s-42"),
    ("verify", "--all"),
    ("anchor",),
    ("doctor",),
    ("groups", "--help"),
    ("serve-metrics", "--help"),
]
DISGUISED = [
    ("a\u202eb", r"a\u202eb"),
    ("pay\u200bpal", r"pay\u200bpal"),
    ("\ufeffbegin", r"\ufeffbegin"),
    ("a\u200db", r"a\u200db"),
    ("line\u2028end\u2029", r"line\u2028end\u2029"),
    ("soft\xadhyphen", r"soft\xadhyphen"),
    ("tag\U000e0041", r"tag\U000e0041"),
    ("x\ufe0f\ufe01", "x\ufe0f" + r"\ufe01"),
    ("\x1b[2J", r"\x1b[2J"),
]
WRITTEN_SO = [
    "👩\u200d💻",
    "👩🏽\u200d❤\ufe0f\u200d👨",
    "می\u200cکشم",
    "#\ufe0f\u20e3",
    "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "a\tb\nc é",
]


@pytest.fixture
def environment(talk: SessionLog, server_url: str, namespace: str) -> Mapping[str, str]:
    ours = {"SESSION_LOG_URL": server_url, "SESSION_LOG_NAMESPACE": namespace}
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}, **ours}


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_full_disk_is_one_line_and_a_code_of_its_own(
    environment: Mapping[str, str], arguments: tuple[str, ...], unbuffered: str
) -> None:
    environment = {**environment, "PYTHONUNBUFFERED": unbuffered}
    with (
        FULL.open("wb") as full,
        Program([*COMMAND_LINE, *arguments], env=environment, stdout=full, stderr=PIPE, text=True) as program,
    ):
        _, errors = program.communicate(60)

    *_, last = errors.splitlines()
    assert last == "session-log: standard output cannot be written: No space left on device"
    assert "Traceback" not in errors
    assert program.returncode == CANNOT_BE_WRITTEN


@pytest.mark.parametrize("arguments", ["--help", "sessions", "fork s-42 s-43", "sessions --json"])
def test_a_closed_standard_output_is_told_before_anything_is_done(
    environment: Mapping[str, str], talk: SessionLog, arguments: str
) -> None:
    found = subprocess.run(
        ["sh", "-c", f"{EXECUTABLE} {arguments} >&-"], env=environment, stderr=PIPE, text=True, check=False
    )

    assert found.stderr == "session-log: standard output cannot be written: Bad file descriptor\n"
    assert found.returncode == CANNOT_BE_WRITTEN
    assert list(talk.session_ids()) == ["s-42"]


def test_other_streams_may_be_closed(environment: Mapping[str, str]) -> None:
    found = subprocess.run(
        ["sh", "-c", f"{EXECUTABLE} show s-42 --json 2>&- <&-; {EXECUTABLE} delete s-42 2>&- <&-; echo $?"],
        env=environment,
        stdout=PIPE,
        text=True,
        check=True,
    )

    first, code = found.stdout.splitlines()
    assert json.loads(first)["session_id"] == "s-42"
    assert code == "2"


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_reader_that_has_gone_ends_it_as_a_signal_would(
    environment: Mapping[str, str], arguments: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with Program([*COMMAND_LINE, *arguments], env=environment, stdout=writing, stderr=PIPE, text=True) as program:
            _, errors = program.communicate(60)
    finally:
        os.close(writing)

    assert "session-log: standard output" not in errors
    assert "Traceback" not in errors
    assert program.returncode == 141


def test_errors_that_cannot_be_told_keep_their_code(environment: Mapping[str, str]) -> None:
    with (
        FULL.open("wb") as full,
        Program([*COMMAND_LINE, "show", "s-43"], env=environment, stdout=DEVNULL, stderr=full) as program,
    ):
        assert program.wait(60) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--bogus",), "no such option: --bogus; see `session-log --help`"),
        (("show",), "missing argument 'SESSION'; see `session-log show --help`"),
        (("sesions",), "no such command 'sesions'. Did you mean 'sessions'? See `session-log --help`"),
        (("groups", "delete"), "missing argument 'GROUP'; see `session-log groups delete --help`"),
        (("verify",), "verify takes either a session or --all"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_mistakes_on_the_command_line_look_like_other_errors(run: Run, arguments: tuple[str, ...], told: str) -> None:
    assert run(*arguments, exit_code=2).stderr == f"session-log: {told}\n"


@pytest.mark.parametrize("columns", [80, 160])
def test_a_mistake_is_no_box_on_a_terminal(environment: Mapping[str, str], columns: int) -> None:
    shown = in_terminal(environment, "show", columns=columns)

    assert shown == "session-log: missing argument 'SESSION'; see `session-log show --help`\n"


@pytest.mark.parametrize("columns", [80, 160])
def test_help_names_no_types_on_a_terminal(environment: Mapping[str, str], columns: int) -> None:
    for words in (["events"], ["groups", "delete"], ["verify"]):
        shown = in_terminal(environment, *words, "--help", columns=columns)
        assert "--json" in shown
        assert "<" not in shown.partition("Examples")[0]


def test_every_command_hides_the_types_of_its_help() -> None:
    def all_of(command: object) -> list[object]:
        below = getattr(command, "commands", {}).values()
        return [command, *(found for one in below for found in all_of(one))]

    names = {type(one).__mro__[1].__module__ for one in all_of(get_command(app))}

    assert all(name.startswith("strands_session_log.cli.") for name in names)


@pytest.mark.parametrize(("text", "shown"), DISGUISED)
def test_what_hides_is_shown(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize("text", WRITTEN_SO)
def test_what_is_written_so_stays(text: str) -> None:
    assert escaped(text) == text


@pytest.mark.parametrize("text", [*WRITTEN_SO, *(text for text, _ in DISGUISED), "\x7f\x9b"])
def test_json_stays_what_it_was(text: str) -> None:
    written = escaped_json(json.dumps({"text": text}, ensure_ascii=False))

    assert json.loads(written) == {"text": text}
    assert not any(hidden in written for hidden in "\x7f\x9b\u2028\u2029\u202e\u200b\ufeff")


@pytest.mark.parametrize("columns", [80, 160])
def test_nothing_hidden_reaches_a_terminal(environment: Mapping[str, str], talk: SessionLog, columns: int) -> None:
    hidden = "\u202efdp.\u202cexe pay\u200bpal \u2028 \x1b]0;title\x07"
    talk.append("s-42", message(4, "user", hidden))
    talk.append("s-42", events.AgentUpdated({"agent_id": "default", "state": {hidden: hidden}}, "default"))
    talk.append("s-42", events.Custom("custom.note", {"text": hidden}))

    for command in ("show", "events", "replay", "diff"):
        words = [command, "s-42", *(["6"] if command == "diff" else [])]
        shown = shown_in_terminal(environment, *words, columns=columns)
        assert r"\u202efdp" in shown
        assert not any(character in shown for character in "\u202e\u200b\u2028\x07")
    printed = subprocess.run([EXECUTABLE, "events", "s-42", "--json"], env=environment, stdout=PIPE, check=True)
    lines = printed.stdout.decode().splitlines()
    assert json.loads(lines[-1])["data"] == {"text": hidden}


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["👩", "\u200d", "💻 works"], "👩\u200d💻 works"),
        (["❤", "\ufe0f\u200d", "🔥"], "❤\ufe0f\u200d🔥"),
        (["a", "\u200d", "b\u202e", "\u202c"], r"a\u200db\u202e\u202c"),
        (["one\r", "\ntwo"], "one\ntwo"),
    ],
)
def test_what_is_said_in_pieces_is_shown_as_if_it_were_whole(pieces: list[str], shown: str) -> None:
    partial = PartialMessage()

    told = "".join(partial.feed(piece_of(text, number)).plain for number, text in enumerate(pieces, 1))

    assert told == partial.text.plain == shown


def piece_of(text: str, number: int) -> Delta:
    return Delta(EventId(1, number), Line("text", "default", "m", number, 0, "", text), 1)
