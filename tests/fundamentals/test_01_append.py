"""Chapter 1. A session is a stream of events; `append` puts them at its end."""

from __future__ import annotations

import pytest

from strands_session_log import NO_SESSION, SessionAt, SessionLog, errors, events


def note(text: str) -> events.Event:
    return events.Custom("custom.note", {"text": text})


def test_the_first_append_begins_a_session(session_log: SessionLog) -> None:
    position = session_log.append("s-1", note("hello"))
    assert position.revision == 1, "events of a session are numbered from 1"
    assert [found.session_id for found in session_log.sessions()] == ["s-1"]


def test_a_batch_is_there_as_a_whole_or_not_at_all(session_log: SessionLog) -> None:
    assert session_log.append("s-1", [note("one"), note("two")]).revision == 2
    with pytest.raises(errors.EncodingError):
        session_log.append("s-1", [note("three"), events.Custom("custom.note", {"text": object()})])
    assert len(list(session_log.read("s-1"))) == 2


def test_a_writer_may_say_what_it_expects(session_log: SessionLog) -> None:
    session_log.append("s-1", note("one"), expected=NO_SESSION)
    session_log.append("s-1", note("two"), expected=SessionAt(1))
    with pytest.raises(errors.ConcurrentWriteError):
        session_log.append("s-1", note("late"), expected=SessionAt(1))
