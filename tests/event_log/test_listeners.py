"""What is told of appends in the process that makes them."""

from __future__ import annotations

import logging
import threading

import pytest

from strands_session_log import SessionLog, events

NOTE = events.Custom("custom.note", {})


def test_every_listener_hears_of_every_append_though_another_fails(
    log: SessionLog, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, int]] = []

    def fail(session_id: str, revision: int, happened: object) -> None:
        raise RuntimeError("not mine")

    log._events.on_append[:0] = [fail, lambda session_id, revision, _: heard.append((session_id, revision))]
    with caplog.at_level(logging.WARNING):
        log.append("s", [NOTE, events.Custom("custom.note", {})])
        log.fork("s", 1, "fork")
    assert heard == [("s", 2), ("fork", 2)]
    assert caplog.text.count("a listener to appends failed") == 2


def test_a_feed_is_trimmed_in_passing_by_a_thread_that_says_so(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    trimmed, names = threading.Event(), list[str]()

    def trim(partition: int) -> None:
        names.append(threading.current_thread().name)
        trimmed.set()

    monkeypatch.setattr("strands_session_log.event_log.log._TRIM_EVERY", 1)
    monkeypatch.setattr(log._events, "trim_feed", trim)
    log.append("s", NOTE)
    assert trimmed.wait(5)
    assert names == ["session-log-trimming"]
