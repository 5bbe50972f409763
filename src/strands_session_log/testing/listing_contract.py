"""What lists of sessions promise, on every kind of server and client."""

from __future__ import annotations

from strands_session_log import SessionLog, events

from ..events import Event


class ListingContract:
    """`sessions` and `session`."""

    def test_a_line_tells_what_agents_do_and_what_was_spent(self, log: SessionLog) -> None:
        """And what was said last, which is read only if that is asked for."""
        _asks(log, "s")
        (plain,) = log.sessions()
        (info,) = log.sessions(last_message=True)
        (agent,) = info.agents
        assert (info.status, info.messages, info.errors, info.tokens) == ("answer", 1, 1, 105)
        assert (agent.agent, agent.status, agent.name, agent.since) == ("a", "answer", "approve", log.head("s"))
        assert info.labels == {"team": "blue"}
        assert plain.last_message is None
        assert info.last_message is not None
        assert info.last_message.id.revision == 2
        assert log.session("s") == info

    def test_sessions_are_found_by_what_they_stand_at(self, log: SessionLog) -> None:
        """Also where they lie in different slots."""
        for number in range(12):
            log.append(f"fine-{number}", [_began(), events.InvocationCompleted({"stop_reason": "end_turn"}, "a")])
            log.append(f"failed-{number}", [_began("b"), events.InvocationFailed({"error": "ValueError"}, "b")])
        _asks(log, "asks")
        failed = {f"failed-{number}" for number in range(12)}
        assert {one.session_id for one in log.sessions(failed=True)} == failed
        assert {one.session_id for one in log.sessions(agent="b")} == failed
        assert {one.session_id for one in log.sessions(failed=True, waiting=True)} == {*failed, "asks"}
        assert [one.session_id for one in log.sessions(labels={"team": "blue"})] == ["asks"]
        assert log.sessions(labels={"team": "red"}) == log.sessions(agent="nobody") == []
        assert log.sessions(since="-8h", until="-1h") == []
        assert len(log.sessions(5, failed=True, since="-8h")) == 5

    def test_the_oldest_come_first_if_they_are_asked_for(self, log: SessionLog) -> None:
        """Pages go on in that order, too."""
        for number in range(7):
            log.append(f"s-{number}", _began())
        newest = [one.session_id for one in log.sessions()]
        page = log.sessions(3, ascending=True)
        rest = log.sessions(9, before=page[-1], ascending=True)
        assert [one.session_id for one in (*page, *rest)] == newest[::-1]

    def test_a_count_that_is_lost_is_made_anew(self, log: SessionLog) -> None:
        """Until then a list does not know; one session is counted when it is asked for."""
        _asks(log, "s")
        log.client.execute_command("HDEL", log._events.keyspace.session("s").head, "counts", "open")
        assert (log.sessions()[0].status, log.sessions()[0].errors) == ("unknown", None)
        assert (log.session("s").status, log.session("s").errors) == ("answer", 1)
        assert log.recount("s")
        assert log.sessions()[0].status == "answer"


def _began(agent: str = "a") -> Event:
    return events.InvocationStarted({"invocation": "i"}, agent)


def _asks(log: SessionLog, session_id: str) -> None:
    said = {"message": {"role": "user", "content": [{"text": "Pay"}]}, "message_id": 0}
    log.append(session_id, [_began(), events.MessageAdded(said, "a"), events.SessionAnnotated({"team": "blue"})])
    log.append(session_id, events.ModelFailed({"error": "ValueError"}, "a"))
    log.append(session_id, events.ModelCompleted({"usage": {"inputTokens": 100, "outputTokens": 5}}, "a"))
    log.append(session_id, events.InterruptRaised({"id": "i", "name": "approve"}, "a"))
