"""Chapter 10. Consumers of one group share the events of all sessions; each is handled at least once."""

from __future__ import annotations

from itertools import islice

from strands_session_log import SessionLog, Subscriber, events


def note(number: int) -> events.Event:
    return events.Custom("custom.note", {"number": number})


def test_what_is_acknowledged_does_not_come_again(session_log: SessionLog) -> None:
    with Subscriber(session_log, "audit", bodies=True) as deliveries:
        session_log.append("s-1", [note(1), note(2)])
        for delivery in islice(deliveries, 2):
            delivery.ack()
    assert sum(status.lag + status.pending for status in session_log.groups()) == 0
    session_log.append("s-1", note(3))
    with Subscriber(session_log, "audit", bodies=True) as deliveries:
        delivery = next(iter(deliveries))
        assert delivery.event
        assert delivery.event.data == {"number": 3}
        delivery.ack()


def test_what_fails_comes_again_and_is_parked_in_the_end(session_log: SessionLog) -> None:
    with Subscriber(session_log, "audit", max_attempts=2, backoff=0.01) as deliveries:
        session_log.append("s-1", note(1))
        for delivery in islice(deliveries, 2):
            delivery.fail(ValueError("no such account"))
    (parked,) = session_log.parked("audit")
    assert (parked.session_id, parked.attempts) == ("s-1", 2)
    assert "ValueError" in parked.error


def test_a_group_may_begin_with_everything_there_ever_was(session_log: SessionLog) -> None:
    session_log.append("s-1", [note(1), note(2)])
    with Subscriber(session_log, "late", start="beginning", bodies=True) as deliveries:
        numbers = []
        for delivery in islice(deliveries, 2):
            assert delivery.event
            numbers.append(delivery.event.data["number"])
            delivery.ack()
    assert numbers == [1, 2]
