"""Bundles are written and read in the same memory however long a session is."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import SessionLog, verify_bundle
from support.command_line import message

FEW, MANY = 500, 5_000
MIB = 1 << 20


@pytest.fixture
def elsewhere(server_url: str, new_namespace: Callable[[], str]) -> Iterator[SessionLog]:
    with SessionLog.connect(server_url, new_namespace()) as log:
        yield log


def peak(work: Callable[[], Any]) -> int:
    """The most memory that something takes beside what there is."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def exported(log: SessionLog, session_id: str, path: Path) -> None:
    with path.open("wb") as file:
        log.export(session_id, file)


def test_five_thousand_events_take_no_more_than_five_hundred(
    log: SessionLog, elsewhere: SessionLog, tmp_path: Path
) -> None:
    """The longer one has 10 MB of text."""
    for session_id, count in (("few", FEW), ("many", MANY)):
        for start in range(0, count, 500):
            log.append(session_id, [message(number, "user", "x" * 2_000) for number in range(start, start + 500)])
    few, many = tmp_path / "few.zip", tmp_path / "many.zip"
    exporting = [peak(lambda: exported(log, name, path)) for name, path in (("few", few), ("many", many))]  # noqa: B023
    verifying = [peak(lambda: verify_bundle(path)) for path in (few, many)]  # noqa: B023
    importing = [peak(lambda: elsewhere.import_(path)) for path in (few, many)]  # noqa: B023
    for little, much in (exporting, verifying, importing):
        assert much < little + 4 * MIB
        assert much < 10 * MIB
    assert elsewhere.head("many").revision == MANY
