"""Chapter 8. What was said can be erased for good; that it was said, and that it was erased, stays provable."""

from __future__ import annotations

import pytest

from strands_session_log import SessionLog, errors, events
from support.clients import client_of

SECRET = "my card is 4111"


def test_erased_content_is_gone_and_the_chain_still_holds(session_log: SessionLog) -> None:
    said = session_log.append("s-1", events.Custom("custom.note", {"text": SECRET}))
    session_log.append("s-1", events.Custom("custom.note", {"text": "noted"}))
    session_log.erase("s-1", said, reason="asked for", by="privacy desk")
    first, *_, last = session_log.read("s-1")
    assert first.event.is_erased
    assert last.event.type == "payload.erased"
    assert SECRET not in repr(client_of(session_log).xrange(session_log._events.keyspace.session("s-1").events))
    assert session_log.verify("s-1").ok


def test_a_deleted_session_leaves_a_tombstone(session_log: SessionLog) -> None:
    session_log.append("s-1", events.Custom("custom.note", {"text": SECRET}))
    session_log.delete("s-1", reason="asked for", by="privacy desk")
    with pytest.raises(errors.SessionNotFoundError):
        session_log.state("s-1")
    (tombstone,) = session_log.tombstones("s-1")
    assert (tombstone.reason, tombstone.by) == ("asked for", "privacy desk")
