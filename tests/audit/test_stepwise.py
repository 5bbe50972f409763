"""Checking a session step by step finds what verifying it finds in its events, and goes on where it stood."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from strands_session_log import SessionChecker, SessionLog, events
from strands_session_log.errors import InvalidAnchorError, InvalidSettingError, LogForkedError, SessionNotFoundError
from support.tampering import Fields, entries_of, forge_erased, put, tamper


def notes(count: int) -> list[events.Event]:
    return [events.Custom("custom.note", {"number": number}) for number in range(count)]


def finished(checker: SessionChecker, most: int = 7) -> SessionChecker:
    """All of it checked, a few events at a time."""
    while not checker.advance(most):
        assert not checker.is_complete
    return checker


def other_body(fields: Fields) -> Mapping[str, bytes]:
    return {**fields, "body": b'{"number":77}'}


def test_all_steps_together_check_what_is_there(log: SessionLog) -> None:
    log.append("s", notes(100))
    checker = finished(log.checker("s"))
    assert (checker.problems, checker.broken_at, checker.is_complete) == ((), None, True)
    assert (checker.revision, checker.link) == (100, log.anchor("s").link)


def test_a_step_checks_no_more_than_it_was_told(log: SessionLog) -> None:
    log.append("s", notes(100))
    checker = log.checker("s")
    assert checker.revision == 0
    assert not checker.advance(7)
    assert checker.revision == 7
    assert checker.link == log.event("s", 7).link


def test_it_goes_on_with_what_is_appended_later(log: SessionLog) -> None:
    log.append("s", notes(3))
    checker = finished(log.checker("s"))
    log.append("s", notes(2))
    finished(checker)
    assert (checker.revision, checker.problems) == (5, ())


@pytest.mark.parametrize("most", [1, 2, 5, 1000])
def test_it_finds_an_event_that_was_changed_however_long_the_steps(log: SessionLog, most: int) -> None:
    log.append("s", notes(10))
    tamper(log, 5, other_body)
    checker = finished(log.checker("s"), most)
    assert checker.broken_at is not None
    assert checker.broken_at.revision == 5
    assert set(checker.problems) <= set(log.verify("s").problems)


def test_what_is_erased_after_it_was_checked_is_no_problem(log: SessionLog) -> None:
    log.append("s", notes(5))
    checker = finished(log.checker("s"))
    log.erase("s", 2, "request")
    assert finished(checker).problems == ()


def test_what_was_erased_and_put_back_is_one(log: SessionLog) -> None:
    log.append("s", notes(5))
    (_, content) = entries_of(log)[1]
    log.erase("s", 2, "request")
    tamper(log, 2, lambda fields: content)
    assert any("which event" in problem for problem in finished(log.checker("s")).problems)


def test_what_was_passed_off_as_erased_is_one_at_the_end(log: SessionLog) -> None:
    log.append("s", notes(5))
    tamper(log, 2, lambda fields: forge_erased(fields, b'{"erased":"%s"}'))
    checker = log.checker("s")
    checker.advance(3)
    assert finished(checker).problems


def test_so_are_a_head_that_says_otherwise_and_events_that_are_missing(log: SessionLog) -> None:
    log.append("s", notes(5))
    put(log, log._events.keyspace.session("s").events, entries_of(log)[:4])
    assert "the session's head stands at revision 5" in finished(log.checker("s")).problems[0]


def test_links_that_were_noted_are_held_against_it(log: SessionLog) -> None:
    log.append("s", notes(3))
    anchor = log.anchor("s")
    assert finished(log.checker("s", expect=[anchor])).problems == ()
    other = finished(log.checker("s", expect=[(2, anchor.link)]))
    assert "another link than was noted" in other.problems[0]
    assert other.broken_at == log.event("s", 2).id
    beyond = finished(log.checker("s", expect=[(9, anchor.link)]))
    assert beyond.problems == ("a link was noted of revision 9, but the session ends at 3",)


def test_a_link_that_was_noted_of_an_event_to_come_is_held_against_it_then(log: SessionLog) -> None:
    log.append("s", notes(3))
    checker = finished(log.checker("s", expect=[(4, log.anchor("s").link)]))
    log.append("s", notes(1))
    assert "another link than was noted" in finished(checker).problems[0]


def test_a_session_that_was_replaced_is_not_taken_for_the_one_that_was_checked(log: SessionLog) -> None:
    log.append("s", notes(3))
    checker = finished(log.checker("s"))
    log.delete("s")
    log.append("s", notes(5))
    with pytest.raises(LogForkedError):
        checker.advance()


def test_a_fork_is_checked_from_the_first_event_of_its_root(log: SessionLog) -> None:
    log.append("s", notes(5))
    log.fork("s", 3, "again")
    assert finished(log.checker("again")).problems == ()


def test_there_must_be_a_session_and_something_to_do(log: SessionLog) -> None:
    with pytest.raises(SessionNotFoundError):
        log.checker("nobody").advance()
    with pytest.raises(InvalidSettingError):
        log.checker("s").advance(0)
    with pytest.raises(InvalidAnchorError):
        log.checker("s", expect=["nonsense"])
