"""Whatever somebody else writes to the feed is a delivery that nobody is given: it is parked, and the rest goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.errors import CorruptEntryError
from strands_session_log.feed import FIELDS, envelope
from strands_session_log.subscription import SyncDelivery
from support.command_line import runner
from support.waiting import wait_until

from .helpers import raw

PATIENCE = 20.0
_numbers = count()

texts = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.integers(-(2**70), 2**70).map(lambda number: b"%d" % number),
    st.sampled_from([b"", b"-", b"1-1", b"0-0", b"nodash", b"9" * 400, b"x" * 70_000, b"[" * 5000, b'{"role":1e999}']),
    st.tuples(st.integers(-1, 2**66), st.integers(-1, 2**66)).map(lambda pair: b"%d-%d" % pair),
)
junk = st.lists(st.tuples(texts, texts), min_size=1, max_size=9)
mangled = st.dictionaries(st.sampled_from(FIELDS), texts, min_size=1, max_size=6)
"""An envelope of which some fields are something else."""
left_out = st.sets(st.sampled_from(FIELDS), min_size=1, max_size=5)
foreign = st.one_of(junk, mangled, left_out)


class Ground(NamedTuple):
    """A log with a session whose feed somebody else writes to.

    Attributes:
        log: The log.
        session_id: The session.
        foreign: How many entries are no envelopes.
        plausible: How many look like envelopes of events that there are not.
    """

    log: SessionLog
    session_id: str
    foreign: int
    plausible: int


def write(log: SessionLog, fields: Sequence[Any]) -> bool:
    """Write an entry to the feed, as whoever has the password can; whether it looks like an envelope."""
    keys, partition = log._events.keyspace.session("s"), log._events.keyspace.partition("s")
    newest = raw(log, b"XREVRANGE", keys.feed, "+", "-", "COUNT", 1)[0][0].decode()
    ms, _, sequence = newest.partition("-")
    id_ = f"{ms}-{int(sequence) + 1}"
    log.client.execute_command("XADD", keys.feed, id_, *fields)
    log.client.execute_command("INCRBY", keys.position, 1)
    try:
        envelope(log._events.keyspace, partition, id_.encode(), fields)
    except CorruptEntryError:
        return False
    return True


def fields_of(log: SessionLog, one: Any) -> list[bytes]:
    """The fields of a foreign entry: made up, or those of the first envelope, changed or without some."""
    if isinstance(one, list):
        return [part for pair in one for part in pair]
    flat = raw(log, b"XRANGE", log._events.keyspace.session("s").feed, "-", "+", "COUNT", 1)[0][1]
    known = dict(zip(flat[::2], flat[1::2], strict=True))
    changed = {**known, **one} if isinstance(one, dict) else {name: known[name] for name in known if name not in one}
    return [part for pair in changed.items() for part in pair]


def grown(log: SessionLog, entries: Sequence[Any]) -> Ground:
    """An event, a foreign entry, an event, and so on."""
    tell(log, 0)
    looks = list[bool]()
    for number, one in enumerate(entries, 1):
        looks.append(write(log, fields_of(log, one)))
        tell(log, number)
    return Ground(log, "s", looks.count(False), looks.count(True))


def tell(log: SessionLog, number: int) -> None:
    log.append("s", [events.Custom("custom.number", {"number": number})])


def handled(ground: Ground, wanted: int, **options: Any) -> list[int]:
    """Which events a consumer is given, by their revision; without bodies also what only looks like one."""
    found: list[int] = []
    with Subscriber(ground.log, "g", **options) as deliveries:
        timer = threading.Timer(PATIENCE, deliveries.stop)
        timer.start()
        for delivery in deliveries:
            take(delivery, found)
            if set(range(1, wanted + 1)) <= set(found):
                wait_until(lambda: parked(ground) >= ground.foreign, "the others to be parked")
                deliveries.stop()
        timer.cancel()
    return found


def take(delivery: SyncDelivery, found: list[int]) -> None:
    repr(delivery), delivery.envelope.facts
    if delivery.session_id == "s":
        found.append(delivery.id.revision)
    delivery.ack()


def parked(ground: Ground) -> int:
    return len(list(ground.log.parked("g")))


@pytest.fixture
def fresh(make_client: Callable[..., Any], namespace: str) -> Callable[[], SessionLog]:
    """Makes a log of its own for each example."""
    client = make_client()
    return lambda: SessionLog(client, f"{namespace}:{next(_numbers)}", partitions=2)


MODES: dict[str, dict[str, Any]] = {
    "competing": {},
    "ordered": {"ordered": True},
    "with bodies": {"bodies": True},
    "ordered with bodies": {"ordered": True, "bodies": True},
    "of a type": {"bodies": True, "types": "custom.*"},
}
bounded = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@bounded
@given(entries=st.lists(foreign, min_size=1, max_size=5))
def test_all_events_are_given_and_what_is_none_is_parked(
    fresh: Callable[[], SessionLog], mode: dict[str, Any], entries: list[Any]
) -> None:
    with fresh() as log:
        ground = grown(log, entries)
        own = list(range(1, len(entries) + 2))
        found = handled(ground, len(own), **mode)
        assert [one for one in dict.fromkeys(found) if one in own] == own
        settle_all_of_it(ground)


def settle_all_of_it(ground: Ground) -> None:
    """Whatever else is asked of a group that has parked such entries, and of the session beside them, is answered."""
    log = ground.log
    for one in log.parked("g"):
        assert log.parked("g").get(one.parked_id).error
        if not one.session_id:
            with pytest.raises(CorruptEntryError, match="can only be dropped"):
                log.parked("g").replay([one.parked_id])
    assert not any(status.problem for status in log.groups())
    log.erase("s", 1, "asked to")
    log.delete("s")
    ids = [one.parked_id for one in log.parked("g")]
    assert log.parked("g").drop(ids) == len(ids)


@bounded
@given(entries=st.lists(foreign, min_size=1, max_size=5))
def test_a_tail_tells_of_each_and_goes_on(fresh: Callable[[], SessionLog], entries: list[Any]) -> None:
    with fresh() as log:
        ground = grown(log, entries)
        errors, found = 0, list[int]()
        with log.tail() as tail:
            while len(found) < len(entries) + 1 + ground.plausible:
                try:
                    found.append(next(tail).id.revision)
                except CorruptEntryError:
                    errors += 1
        assert errors == ground.foreign
        assert set(range(1, len(entries) + 2)) <= set(found)


@bounded
@given(entries=st.lists(foreign, min_size=1, max_size=5))
def test_history_is_read_beside_them(fresh: Callable[[], SessionLog], entries: list[Any]) -> None:
    with fresh() as log:
        ground = grown(log, entries)
        found = handled(ground._replace(foreign=0), len(entries) + 1, start="beginning", bodies=True)
        assert set(range(1, len(entries) + 2)) <= set(found)


NUMBERS: dict[str, Callable[[int, int], str]] = {
    "the next": lambda ms, number: f"{ms}-{number + 1}",
    "none": lambda ms, number: f"{ms + 1}-0",
    "one used before": lambda ms, number: f"{ms + 1}-{number - 1}",
    "one far ahead": lambda ms, number: f"{ms}-{number + 7}",
}
"""What an entry may be numbered that somebody else writes without counting it; `XADD key *` gives it none."""


def last_of(log: SessionLog) -> tuple[int, int]:
    """Time and number of the last that the feed ever had."""
    info = raw(log, b"XINFO STREAM", log._events.keyspace.session("s").feed)
    told = info if isinstance(info, dict) else dict(zip(info[::2], info[1::2], strict=True))
    ms, _, number = told[b"last-generated-id"].decode().partition("-")
    return int(ms), int(number)


def put(log: SessionLog, numbered: Callable[[int, int], str]) -> None:
    log.client.execute_command("XADD", log._events.keyspace.session("s").feed, numbered(*last_of(log)), "a", "b")


def empty_the_feed(log: SessionLog) -> None:
    wait_until(lambda: not any(status.pending for status in log.groups()), "all to be settled")
    log.client.execute_command("XTRIM", log._events.keyspace.session("s").feed, "MAXLEN", 0)


@pytest.mark.parametrize("numbered", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("is_trimmed", [False, True], ids=["whole", "trimmed"])
def test_an_entry_with_a_number_of_its_own_is_neither_a_gap_nor_another_history(
    fresh: Callable[[], SessionLog], numbered: Callable[[int, int], str], mode: dict[str, Any], is_trimmed: bool
) -> None:
    with fresh() as log:
        ground, found, steps = Ground(log, "s", 2, 0), list[int](), list[int]()
        for number in range(3):
            tell(log, number)
        with Subscriber(log, "g", **mode) as deliveries:
            timer = threading.Timer(PATIENCE, deliveries.stop)
            timer.start()
            for delivery in deliveries:
                take(delivery, found)
                if len(found) in (3, 4) and len(found) not in steps:
                    steps.append(len(found))
                    if is_trimmed:
                        empty_the_feed(log)
                    put(log, numbered)
                    tell(log, len(found))
                elif len(found) == 5:
                    wait_until(lambda: parked(ground) == 2, "the others to be parked")
                    deliveries.stop()
            timer.cancel()
        put(log, numbered)
        tell(log, 5)
        assert found == [1, 2, 3, 4, 5]
        assert handled(ground._replace(foreign=3), 0, **mode) == [6]


@pytest.mark.parametrize("numbered", NUMBERS.values(), ids=NUMBERS)
def test_a_group_lags_behind_an_entry_with_a_number_of_its_own(
    fresh: Callable[[], SessionLog], numbered: Callable[[int, int], str]
) -> None:
    with fresh() as log:
        for number in range(3):
            tell(log, number)
        assert handled(Ground(log, "s", 0, 0), 3) == [1, 2, 3]
        tell(log, 3)
        put(log, numbered)
        assert sum(status.lag for status in log.groups()) >= 1


@pytest.mark.parametrize("numbered", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("is_trimmed", [False, True], ids=["whole", "trimmed"])
def test_a_tail_goes_on_behind_an_entry_with_a_number_of_its_own(
    fresh: Callable[[], SessionLog], numbered: Callable[[int, int], str], is_trimmed: bool
) -> None:
    with fresh() as log, log.tail() as tail:
        for number in range(3):
            tell(log, number)
            assert next(tail).id.revision == number + 1
        for number in (3, 4):
            if is_trimmed:
                log.client.execute_command("XTRIM", log._events.keyspace.session("s").feed, "MAXLEN", 0)
            put(log, numbered)
            with pytest.raises(CorruptEntryError):
                next(tail)
            tell(log, number)
            assert next(tail).id.revision == number + 1


@pytest.mark.parametrize("numbered", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("is_trimmed", [False, True], ids=["whole", "trimmed"])
def test_no_number_is_used_again_for_an_entry_that_has_one_of_its_own(
    fresh: Callable[[], SessionLog], numbered: Callable[[int, int], str], is_trimmed: bool
) -> None:
    with fresh() as log:
        numbers = list[int]()
        for number in range(4):
            tell(log, number)
            numbers.append(last_of(log)[1])
            if is_trimmed:
                log.client.execute_command("XTRIM", log._events.keyspace.session("s").feed, "MAXLEN", 0)
            if number:
                put(log, numbered)
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("bodies", [False, True])
def test_a_session_that_is_another_type_takes_down_no_delivery_but_its_own(
    fresh: Callable[[], SessionLog], bodies: bool
) -> None:
    with fresh() as log:
        tell(log, 0)
        partition = log._events.keyspace.partition("s")
        other = next(name for name in map(str, range(99)) if log._events.keyspace.partition(name) == partition)
        for key in log._events.keyspace.session(other)[:6]:
            log.client.execute_command("RPUSH", key, "text")
        write(log, fields_of(log, {b"session": other.encode()}))
        tell(log, 1)
        ground = Ground(log, "s", int(bodies), int(not bodies))
        assert handled(ground, 2, bodies=bodies) == [1, 2]
        assert [one.session_id for one in log.parked("g")] == [other] * bodies


def test_what_is_parked_of_a_huge_entry_is_bounded(fresh: Callable[[], SessionLog]) -> None:
    with fresh() as log:
        ground = grown(log, [[(b"n" * 100_000, b"v" * 1_000_000)] * 8])
        assert handled(ground, 2) == [1, 2]
        key = log._events.keyspace.group(log._events.keyspace.partition("s"), "g").parked
        assert log.client.execute_command("MEMORY", "USAGE", key) < 2_000_000


def test_what_was_not_handed_out_says_clearly_that_it_is_about_nothing(fresh: Callable[[], SessionLog]) -> None:
    with fresh() as log:
        delivery = SyncDelivery(0, (b"1-1", 1, [b"field", b"value"]), _Nobody(), 0.0)
        assert repr(delivery) == "<delivery of entry b'1-1', attempt 1>"
        assert delivery.event is None
        for name in ("envelope", "session_id", "id"):
            with pytest.raises(CorruptEntryError, match="it is about no event"):
                getattr(delivery, name)
        with pytest.raises(CorruptEntryError, match="not those of an envelope"):
            delivery.read(log._events.keyspace)


class _Nobody:
    consumer, keeps_texts = "c", False

    def opened(self, session_id: str, body: Any) -> Any: ...

    def ack(self, delivery: Any, confirm: bool) -> None: ...

    def fail(self, delivery: Any, what: str, failure: Any) -> None: ...


def test_commands_tell_of_them_in_a_line_each_and_end(server_url: str, fresh: Callable[[], SessionLog]) -> None:
    with fresh() as log:
        entries = [[(b"\x1b[31m\xff", b"\n" * 90)], {b"session": b"\xff\xfe"}, {b"id": b"nodash"}, {b"facts"}]
        ground = grown(log, entries)
        handled(ground, 5, bodies=True)
        run = runner(server_url, log.namespace)
        ids = [one.parked_id for one in log.parked("g")]
        assert len(ids) == 4
        listed = run("parked", "list", "g").stdout
        assert listed.count("CorruptEntryError") == 4
        assert "\x1b[31m" not in listed
        shown = run("parked", "show", "g", ids[0]).stdout
        assert "another program wrote to the feed" in shown
        assert "can only be dropped" in run("parked", "replay", "g", ids[0], exit_code=None).stderr
        run("groups")
        run("parked", "drop", "g", "--all", "--yes")
        wait_until(lambda: parked(ground) == 0, "them to be gone")
