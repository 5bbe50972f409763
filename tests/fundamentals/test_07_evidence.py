"""Chapter 7. Each event carries a link of a hash chain; `verify` recomputes it, an anchor holds it elsewhere."""

from __future__ import annotations

import pytest

from strands_session_log import SessionLog, events
from support.clients import client_of


@pytest.fixture
def log(session_log: SessionLog) -> SessionLog:
    for text in ("pay 10 to Ann", "done"):
        session_log.append("s-1", events.Custom("custom.order", {"text": text}))
    return session_log


def rewrite(log: SessionLog) -> None:
    """What somebody can do who can write to the server: another first event in place of the one there was."""
    key = log._events.keyspace.session("s-1").events
    (first, fields), *others = client_of(log).xrange(key)
    client_of(log).delete(key)
    changed = {name: value.replace(b"10 to Ann", b"99 to Bob") for name, value in fields.items()}
    for entry_id, entry in [(first, changed), *others]:
        client_of(log).xadd(key, entry, id=entry_id)


def test_what_was_written_verifies(log: SessionLog) -> None:
    found = log.verify("s-1")
    assert found.ok
    assert found.revision == 2


def test_what_was_changed_is_named(log: SessionLog) -> None:
    rewrite(log)
    found = log.verify("s-1")
    assert not found.ok
    assert found.problems[0].startswith(f"event {next(log.read('s-1')).id}")


def test_a_link_noted_elsewhere_shows_that_a_session_was_replaced(log: SessionLog) -> None:
    anchor = log.anchor("s-1")
    log.delete("s-1")
    log.append("s-1", [events.Custom("custom.order", {"text": text}) for text in ("pay 99 to Bob", "done")])
    assert log.verify("s-1").ok, "in itself it is sound"
    assert not log.verify("s-1", expect=[anchor]).ok
