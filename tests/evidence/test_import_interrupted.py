"""Imports that are killed, that meet each other, and during which content is erased."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from strands_session_log import SessionLog
from strands_session_log.errors import ImportRefusedError, OutOfMemoryError
from strands_session_log.event_log.reader import fetch
from strands_session_log.scripts import session
from support import ValkeyliteServer
from support.bundles import bundle_of
from support.command_line import message
from support.programs import Program
from support.tampering import entries_of

EVENTS = 1_300
IMPORTER = """
import sys
from strands_session_log import SessionLog

def wait(done, total):
    print(done, flush=True)
    sys.stdin.readline()

url, namespace, path = sys.argv[1:]
with SessionLog.connect(url, namespace) as log:
    log.import_(path, progress=wait)
"""


@pytest.fixture
def elsewhere(server_url: str, new_namespace: Callable[[], str]) -> Iterator[SessionLog]:
    with SessionLog.connect(server_url, new_namespace()) as log:
        yield log


@pytest.fixture
def bundle(log: SessionLog, tmp_path: Path) -> Path:
    """A session of 1,300 events, which is copied in three steps."""
    log.append("s", [message(number, "user", f"message {number}") for number in range(EVENTS - 400)])
    log.append("s", [message(number, "user", f"message {number}") for number in range(EVENTS - 400, EVENTS)])
    path = tmp_path / "case.zip"
    path.write_bytes(bundle_of(log, "s").data)
    return path


def killed_after_its_first_step(log: SessionLog, server_url: str, path: Path) -> None:
    arguments = ["-c", IMPORTER, server_url, log.namespace, str(path)]
    with Program(arguments, stdin=PIPE, stdout=PIPE, text=True) as program:
        assert program.stdout
        assert program.stdout.readline() == "500\n"
        program.kill()


def copies_of(log: SessionLog) -> list[bytes]:
    return [key for page in log._events.store.scan(f"{log.namespace}:*:rewrite:*", 1000) for key in page]


def test_a_killed_import_leaves_no_half_session_and_the_next_goes_on_where_it_was(
    log: SessionLog, elsewhere: SessionLog, server_url: str, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_after_its_first_step(elsewhere, server_url, bundle)
    assert list(elsewhere.sessions()) == []
    (copy,) = copies_of(elsewhere)
    assert 0 < elsewhere.client.execute_command("PTTL", copy) <= 3_600_000

    added, add = list[int](), session.add_to_copy

    def counted(store: Any, key: str, begins: bool, entries: Any, *more: Any) -> bool:
        added.append(len(entries))
        return add(store, key, begins, entries, *more)

    monkeypatch.setattr(session, "add_to_copy", counted)
    (found,) = elsewhere.import_(bundle)
    assert (found.outcome, found.events) == ("imported", EVENTS)
    assert sum(added) == EVENTS - 500
    assert entries_of(elsewhere) == entries_of(log)
    assert copies_of(elsewhere) == []
    assert elsewhere.verify("s", feed=True).ok


def test_a_copy_that_somebody_changed_meanwhile_is_made_anew(
    log: SessionLog, elsewhere: SessionLog, server_url: str, bundle: Path
) -> None:
    killed_after_its_first_step(elsewhere, server_url, bundle)
    (copy,) = copies_of(elsewhere)
    (last,) = fetch(elsewhere._events.store, copy.decode(), "+", "-", 1, b"XREVRANGE")
    elsewhere.client.execute_command("XDEL", copy, last[0])
    elsewhere.client.execute_command("XADD", copy, last[0].replace(b"-500", b"-501"), *last[1])
    elsewhere.import_(bundle)
    assert entries_of(elsewhere) == entries_of(log)
    assert elsewhere.verify("s", feed=True).ok


def test_a_session_deleted_since_does_not_come_back_by_an_import_that_goes_on(
    log: SessionLog, server_url: str, bundle: Path
) -> None:
    elsewhere = log
    log.client.execute_command("DEL", *log._events.keyspace.session("s").append[:2])
    killed_after_its_first_step(elsewhere, server_url, bundle)
    elsewhere.import_(bundle)
    elsewhere.delete("s")
    with pytest.raises(ImportRefusedError, match="deleted here"):
        elsewhere.import_(bundle)


def test_two_imports_at_once_make_one_session(elsewhere: SessionLog, server_url: str, bundle: Path) -> None:
    outcomes = list[str]()
    both = threading.Barrier(2)

    def run() -> None:
        with SessionLog.connect(server_url, elsewhere.namespace) as log:
            is_first = True

            def meet(done: int, total: int) -> None:
                nonlocal is_first
                if is_first:
                    is_first = False
                    both.wait(60)

            outcomes.extend(one.outcome for one in log.import_(bundle, progress=meet))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["imported", "skipped"]
    assert elsewhere.head("s").revision == EVENTS
    assert elsewhere.verify("s", feed=True).ok
    assert copies_of(elsewhere) == []


def test_content_erased_in_the_parent_while_its_fork_is_imported_does_not_come_back(
    log: SessionLog, elsewhere: SessionLog, bundle: Path
) -> None:
    log.fork("s", EVENTS, "fork")
    log.append("fork", message(EVENTS, "user", "more"))
    fork = io.BytesIO(bundle_of(log, "fork").data)
    elsewhere.import_(bundle)
    erased = list[int]()

    def erase(done: int, total: int) -> None:
        if not erased:
            erased.append(done)
            elsewhere.erase("s", 3, "meanwhile")

    (found,) = elsewhere.import_(fork, progress=erase)
    assert (erased, found.erased) == ([500], 1)
    assert elsewhere.event("fork", 3).event.is_erased
    assert b"message 2" not in b"".join(entries_of(elsewhere, "fork")[2][1].values())
    assert elsewhere.verify("fork", feed=True).ok


def test_a_session_that_begins_meanwhile_is_left_alone(elsewhere: SessionLog, bundle: Path) -> None:
    begun = list[int]()

    def begin(done: int, total: int) -> None:
        if not begun:
            begun.append(done)
            elsewhere.append("s", message(0, "user", "Mine."))

    (found,) = elsewhere.import_(bundle, progress=begin)
    assert (found.outcome, found.is_refused) == ("conflict", True)
    assert elsewhere.head("s").revision == 1
    assert copies_of(elsewhere) == []


def test_a_server_without_room_has_no_half_session_and_one_with_room_again_gets_it(bundle: Path) -> None:
    with ValkeyliteServer() as server, SessionLog.connect(server.url, retry_for=0) as full:
        full.append("other", message(0, "user", "Hello"))
        server.execute("CONFIG", "SET", "maxmemory", "1mb")
        with pytest.raises(OutOfMemoryError):
            full.import_(bundle)
        assert [one.session_id for one in full.sessions()] == ["other"]
        server.execute("CONFIG", "SET", "maxmemory", "0")
        assert [one.outcome for one in full.import_(bundle)] == ["imported"]
        assert full.verify("s", feed=True).ok
