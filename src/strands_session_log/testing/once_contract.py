"""What every server must do when events are appended once; a part of `contract.LogContract`.

The matrix is that of KurrentDB's idempotent appends: the same batch, a prefix, a suffix, an overlap, another order,
each with every expectation, again from another machine.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .. import events
from ..errors import ConcurrentWriteError, EncodingError, EventOrderError
from ..event_log import ANY, NO_SESSION, AgentAt, Expected, SessionAt
from ..events import Event
from ..session_log import SessionLog

EXPECTATIONS: tuple[Expected, ...] = (ANY, NO_SESSION, SessionAt(0), SessionAt(3), SessionAt(99), AgentAt("default", 7))


def _order(name: str) -> Event:
    return events.Custom("custom.order", {"name": name}, event_id=f"order-{name}")


def _orders(names: str) -> list[Event]:
    return [_order(name) for name in names]


def _names(log: SessionLog, session_id: str = "s") -> str:
    return "".join(one.event.data["name"] for one in log.read(session_id, types="custom.order"))


def _elsewhere(log: SessionLog) -> SessionLog:
    """Another machine: nothing known of what this one wrote."""
    return SessionLog(log.client, log.namespace, allow_eviction=True)


class OnceContract:
    """Appending once: known by event ids, in their order, whoever appends."""

    @pytest.mark.parametrize("first_once", [True, False])
    @pytest.mark.parametrize("expected", EXPECTATIONS, ids=repr)
    @pytest.mark.parametrize("names", ["abc", "ab", "bc", "a", "b", "c"])
    def test_what_stands_already_is_answered_with_its_ids(
        self, log: SessionLog, names: str, expected: Expected, first_once: bool
    ) -> None:
        """The same batch, a prefix, a suffix, the middle: whatever is expected, and also if others wrote meanwhile."""
        log.append("s", _orders("abc"), once=first_once)
        log.append("s", events.Custom("custom.note", {}))
        ids = {one.event.data.get("name"): one.id for one in log.read("s")}
        for writer in (log, _elsewhere(log)):
            assert writer._events.append("s", _orders(names), expected, once=True) == [ids[name] for name in names]
        assert _names(log) == "abc"

    @pytest.mark.parametrize("expected", [ANY, SessionAt(3)], ids=repr)
    @pytest.mark.parametrize("names", ["abcd", "bcd", "cd", "cde", "de"])
    def test_what_comes_behind_what_stands_is_appended(self, log: SessionLog, names: str, expected: Expected) -> None:
        """An overlap at the end of the session, and a batch of which nothing is there."""
        log.append("s", _orders("abc"))
        appended = _elsewhere(log)._events.append("s", _orders(names), expected, once=True)
        assert _names(log) == "".join(sorted(set("abc" + names)))
        ids = {one.event.data.get("name"): one.id for one in log.read("s")}
        assert appended == [ids[name] for name in names]
        assert log.verify("s").ok

    @pytest.mark.parametrize("expected", [NO_SESSION, SessionAt(0), SessionAt(2), AgentAt("default", 7)], ids=repr)
    @pytest.mark.parametrize("names", ["abcd", "d"])
    def test_what_is_missing_is_fenced_like_any_append(self, log: SessionLog, names: str, expected: Expected) -> None:
        """Nothing of the batch is written then."""
        log.append("s", _orders("abc"))
        with pytest.raises(ConcurrentWriteError):
            _elsewhere(log).append("s", _orders(names), expected=expected, once=True)
        assert _names(log) == "abc"

    @pytest.mark.parametrize("expected", EXPECTATIONS, ids=repr)
    @pytest.mark.parametrize("names", ["za", "ba", "acb", "azb", "zabc", "abzc", "cba"])
    def test_what_cannot_keep_its_order_is_refused(self, log: SessionLog, names: str, expected: Expected) -> None:
        """Another order, or something missing before what stands: nothing is written; the error says what stands."""
        log.append("s", _orders("abc"))
        with pytest.raises(EventOrderError, match="another order: order-") as refused:
            _elsewhere(log).append("s", _orders(names), expected=expected, once=True)
        assert [event_id for event_id, _ in refused.value.standing] == [f"order-{name}" for name in names]
        assert _names(log) == "abc"

    def test_an_event_that_stands_twice_in_a_batch_is_refused(self, log: SessionLog) -> None:
        """It cannot be there once."""
        with pytest.raises(EncodingError, match="'order-a' stands twice"):
            log.append("s", _orders("aba"), once=True)
        assert _names(log) == ""

    def test_more_events_than_may_land_at_once_are_refused_and_a_whole_batch_is_known_again(
        self, log: SessionLog
    ) -> None:
        """So repeating it settles an unknown outcome in any case."""
        with pytest.raises(EncodingError, match="1,001 are more than 1,000: append them in several batches"):
            log.append("s", [_order(f"{number}") for number in range(1001)], once=True)
        batch = [_order(f"{number}") for number in range(1000)]
        assert log.append("s", batch, once=True) == log.append("s", batch, once=True)

    def test_several_processes_with_the_same_outbox_append_everything_once(self, log: SessionLog) -> None:
        """In order, though all begin at the same time."""
        batches = ["abc", "def", "ghi", "jkl"]

        def drain(_: int) -> None:
            writer = _elsewhere(log)
            for names in batches:
                writer.append("s", _orders(names), once=True)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(drain, range(6)))
        assert _names(log) == "abcdefghijkl"
        assert log.verify("s").ok

    def test_an_index_that_is_lost_or_wrong_is_made_anew(self, log: SessionLog) -> None:
        """It is no truth: what stands is what the stream says."""
        log.append("s", _orders("abc"), once=True)
        keys, last = log._events.keyspace.session("s"), log.append("s", _order("d"), once=True)
        wrong: tuple[tuple[Any, ...], ...] = (
            ("UNLINK", keys.ids),
            ("HSET", keys.ids, "upto", "junk"),
            ("HSET", keys.ids, "link", "junk"),
        )
        for number, command in enumerate(wrong):
            log.client.execute_command(*command)
            assert log.append("s", _order("d"), once=True) == last
            log.append("s", _order(f"{number}"), once=True)
            log.append("s", _order(f"{number}"), once=True)
        log.client.execute_command("UNLINK", keys.ids)
        log.client.execute_command("SET", keys.ids, "no hash")
        assert log.append("s", _order("d"), once=True) == last
        for name, place in (("e", str(last)), ("f", "1-1"), ("g", "9999999999999-1")):
            log.client.execute_command("HSET", keys.ids, f"event:order-{name}", place)
            log.append("s", _order(name), once=True)
        assert _names(log) == "abcd012efg"

    def test_the_last_thousand_events_are_known_also_behind_what_others_wrote(self, log: SessionLog) -> None:
        """What is older may be appended again."""
        log.append("s", [_order("old"), _order("known")])
        log.append("s", [events.Custom("custom.note", {}) for _ in range(499)])
        log.append("s", [events.Custom("custom.note", {}) for _ in range(500)], once=True)
        assert _elsewhere(log).append("s", _order("known"), once=True).revision == 2
        assert log.append("s", [_order("new"), _order("newer")], once=True).revision == 1003

    def test_the_index_stays_small(self, log: SessionLog) -> None:
        """At most about two thousand ids, however many events are appended."""
        for start in range(0, 4000, 500):
            log.append("s", [_order(f"{number}") for number in range(start, start + 500)], once=True)
        assert log.client.execute_command("HLEN", log._events.keyspace.session("s").ids) <= 2002
        assert log.append("s", _order("3001"), once=True).revision == 3002
        assert log.client.execute_command("HLEN", log._events.keyspace.session("s").ids) <= 2002

    def test_the_index_goes_with_the_session(self, log: SessionLog) -> None:
        """After a deletion the same events may be appended anew."""
        log.append("s", _orders("ab"), once=True)
        log.delete("s")
        assert log.client.execute_command("EXISTS", log._events.keyspace.session("s").ids) == 0
        assert log.append("s", _orders("ab"), once=True).revision == 2

    def test_what_a_fork_has_of_its_parent_stands_in_it(self, log: SessionLog) -> None:
        """And what it has not, does not."""
        log.append("s", _orders("abc"), once=True)
        log.fork("s", at=2, into="fork")
        assert log.append("fork", _orders("ab"), once=True).revision == 2
        log.append("fork", _orders("bcd"), once=True)
        assert _names(log, "fork") == "abcd"

    def test_an_erased_event_still_stands(self, log: SessionLog) -> None:
        """Its id is no content."""
        log.append("s", _orders("ab"), once=True)
        log.erase("s", 1, reason="why")
        assert log.append("s", _orders("ab"), once=True).revision == 2
