"""`session-log index` and `session-log search`."""

from __future__ import annotations

import json
import random
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from subprocess import PIPE

import pytest

from strands_session_log import SessionLog
from strands_session_log_consumers.search import Indexer, SearchIndexError, open_index
from support.command_line import Run, message
from support.programs import COMMAND_LINE, Program
from support.waiting import wait_until


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "search.db"
    monkeypatch.setenv("SESSION_LOG_SEARCH_INDEX", str(file))
    return file


def test_what_was_indexed_is_found_with_its_place(talk: SessionLog, run: Run, file: Path) -> None:
    told = run("index", "--once")
    assert "Indexed 4 messages" in told.stderr
    found = run("search", "light jacket").stdout
    assert found.startswith("s-42 6  ")
    assert found.endswith("default assistant: A light jacket.\n")
    line = json.loads(run("search", "forecast", "--json").stdout)
    assert (line["session_id"], line["agent"], line["found"]) == ("s-42", "default", ["forecast"])
    assert talk.event("s-42", line["id"]).event.type == "message.added"
    assert run("search", "pack", "--role", "assistant", exit_code=1).stdout == ""
    assert run("search", "pack", "--since", "-1h", "--agent", "default", "--session", "s-42").stdout


def test_metrics_need_an_extra_only_where_they_are_wanted(
    talk: SessionLog, run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in sys.modules if one.startswith("prometheus_client") or one.endswith("search.counting")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert "Indexed 4 messages" in run("index", "--once").stderr
    said = run("index", "--once", "--metrics-port", "0", exit_code=2).stderr
    assert "strands-session-log[metrics]" in said


@pytest.mark.parametrize("is_installed", [False, True])
def test_postgresql_without_its_library_is_told_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    for name in [one for one in sys.modules if one.startswith("psycopg") or one.endswith(".search.postgresql")]:
        monkeypatch.delitem(sys.modules, name)
    if is_installed:
        # As where there is no libpq: of the ways to reach it, none can be imported.
        for name in ("psycopg_c", "psycopg_binary", "psycopg.pq.pq_ctypes"):
            monkeypatch.setitem(sys.modules, name, None)
    else:
        monkeypatch.setitem(sys.modules, "psycopg", None)
    said = run("search", "x", "--index", "postgresql://127.0.0.1/x", exit_code=2).stderr
    assert "pip install 'strands-session-log[search-postgresql]'" in said
    assert len(said.splitlines()) == 1


def test_what_cannot_be_searched_is_told_in_one_line(talk: SessionLog, run: Run, file: Path) -> None:
    assert "`session-log index` makes it" in run("search", "x", exit_code=2).stderr
    run("index", "--once")
    assert "parenthesis" in run("search", "(x", exit_code=2).stderr
    assert "name=value" in run("search", "x", "--label", "open", exit_code=2).stderr
    assert "'banana'" in run("search", "x", "--since", "banana", exit_code=2).stderr
    assert "'7'" in run("search", "x", "--until", "7", exit_code=2).stderr
    assert "--index" in run("search", "x", "--index", "", exit_code=2).stderr


def test_escapes_in_what_was_said_do_nothing_to_the_terminal(log: SessionLog, run: Run, file: Path) -> None:
    log.append("a", message(0, "user", "a refund\nof \x1b[31mred\u202e text"))
    run("index", "--once", "--rebuild")
    found = run("search", "refund").stdout
    assert "\x1b" not in found
    assert "\u202e" not in found
    assert found.count("\n") == 1


def test_the_service_indexes_until_it_is_told_to_stop(
    talk: SessionLog, run: Run, file: Path, environment: Mapping[str, str]
) -> None:
    with Program([*COMMAND_LINE, "index", "--index", str(file)], env=environment, stderr=PIPE, text=True) as service:
        assert service.stderr is not None
        assert "Indexed 4 messages" in service.stderr.readline()
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
    assert run("search", "jacket").stdout


@pytest.mark.faults
def test_an_indexer_that_is_killed_midway_has_lost_nothing_and_writes_nothing_twice(
    log: SessionLog, place: str, environment: Mapping[str, str]
) -> None:
    for number in range(20):
        log.append(f"s-{number}", [message(at, "user", f"refund {number}x{at}") for at in range(250)])
    rng = random.Random(7)
    for number in range(3):
        with Program([*COMMAND_LINE, "index", "--index", place, "--once"], env=environment, stderr=PIPE) as program:
            wait_until(partial(has_begun, program, place, log, counted(place, log)), "it to index")
            # At any moment from then on: while it reads, writes, or commits.
            time.sleep(rng.random() * 0.05)
            program.kill()
            program.wait(20)
        log.append(f"s-{number}", message(250, "user", f"refund meanwhile {number}"))
    index = open_index(place, log.namespace, create=True)
    with Indexer(log, index) as indexer:
        indexer.sync()
    assert index.counts == (20, 20 * 250 + 3)
    found = [hit.text for hit in index.search("refund", limit=10_000)]
    assert len(found) == len(set(found)) == 20 * 250 + 3


def has_begun(program: Program, place: str, log: SessionLog, before: int) -> bool:
    return counted(place, log) > before or program.poll() is not None


def counted(place: str, log: SessionLog) -> int:
    try:
        return open_index(place, log.namespace).counts[1]
    except SearchIndexError:
        return 0


def test_how_far_the_indexer_is_is_among_its_metrics(
    talk: SessionLog, file: Path, environment: Mapping[str, str]
) -> None:
    command = [*COMMAND_LINE, "index", "--index", str(file), "--metrics-port", "0"]
    with Program(command, env=environment, stderr=PIPE, text=True) as service:
        assert service.stderr is not None
        (address,) = re.findall(r"Serving (\S+)", service.stderr.readline())
        assert "Indexed 4 messages" in service.stderr.readline()
        talk.append("other", message(0, "user", "one more"))
        wait_until(lambda: "index_messages_total 5.0" in asked(address), "the message to be indexed")
        shown = asked(address)
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
    assert "strands_session_log_index_unreadable_sessions 0.0" in shown
    assert "strands_session_log_index_unscrubbed 0.0" in shown
    (newest,) = re.findall(r"\n\S+_index_last_success_timestamp_seconds (\S+)", shown)
    assert float(newest) > 1e9


def asked(address: str) -> str:
    with urllib.request.urlopen(address) as answer:
        return str(answer.read().decode())
