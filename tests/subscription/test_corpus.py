"""Every key of a subscription, and every field of each, holding what somebody else has put there.

Whatever is asked of the group then ends in a right answer or an error of this library, within bounded time; what is
broken in one partition is no trouble of the others, and what is not broken is delivered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.errors import CorruptEntryError, DeliveryLostError, SessionLogError
from strands_session_log.keys import GroupKeys
from support.clients import Client
from support.command_line import Run, runner
from support.sampling import sampled

from .helpers import raw

TIME_BOX = 5.0
PATIENCE = 3.0
SHARES = 3
TYPES: dict[str, tuple[Any, ...]] = {
    "string": ("SET", "text"),
    "list": ("RPUSH", "text"),
    "set": ("SADD", "text"),
    "sorted set": ("ZADD", 1, "text"),
    "hash": ("HSET", "field", "value"),
    "stream": ("XADD", "1-1", "field", "value"),
}
VALUES: dict[str, bytes] = {
    "junk": b"junk and more",
    "huge": b"9" * 400,
    "the largest": b"9223372036854775807",
    "beyond": b"18446744073709551616-18446744073709551616",
    "negative": b"-5",
    "negative id": b"-5--3",
    "infinite": b"inf",
    "bytes": b"\xff\xfe",
    "empty": b"",
    "long": b"1-1 " * 20_000,
}
NOTED = {
    "backfill": "between 0 9999999999999",
    "backfill_cursor": "1-1 a",
    "backfill_attempts": 1,
    "backfill_owner": "gone",
    "backfill_owner_until": 1,
    "lease_owner": "gone",
    "lease_until": 1,
    "backoff_until": 1,
    "gap": "1-0 2-3",
    "redeliveries": 1,
    "abandoned": 1,
    "taken_over:gone": 1,
    "taken_over:c": 1,
    "heartbeat:gone": 1,
    "recount_cursor": "0-0",
}
FIELDS = (*NOTED, "checkpoint", "checkpoint_link", "created", "last_read", "parked_total", "error")
ENVELOPE = ("session", "id", "type", "agent", "link", "facts")
PARKED = (*ENVELOPE, "feed_id", "attempts", "error")
LARGE_IDS = {
    "the largest id": "18446744073709551615-18446744073709551615",
    "a large sequence": "9999999999999-99999999999999999",
    "a sequence that is not exact in Lua": "9999999999999-9007199254740993",
    "a time to come": "99999999999999-1000",
    "the sequence 0": "99999999999999-0",
}
SCORES = ("-inf", "1", "1e300", "inf")
ENTRY_VALUES = ("junk", "huge", "negative", "bytes", "empty")


class Spoil(NamedTuple):
    """What is wrong.

    Attributes:
        key: Which of the keys of the group.
        field: Which field of it; empty for all of it.
        value: A type, a value, or `missing`.
    """

    key: str
    field: str
    value: str


SPOILS = [
    *(Spoil(key, "", kind) for key in GroupKeys._fields for kind in (*TYPES, "missing")),
    *(Spoil("group", field, value) for field in FIELDS for value in (*VALUES, "missing")),
    *(Spoil("position", "value", value) for value in VALUES),
    *(Spoil("replay", score, value) for score in SCORES for value in VALUES),
    *(Spoil("feed", field, value) for field in ENVELOPE for value in (*ENTRY_VALUES, "missing")),
    *(Spoil("feed", "entry", value) for value in LARGE_IDS),
    *(Spoil("parked", "entry", value) for value in LARGE_IDS),
    *(Spoil("parked", field, value) for field in PARKED for value in (*ENTRY_VALUES, "missing")),
]


@dataclass(frozen=True, slots=True)
class Ground:
    """A group with something of everything in partition 0, and a neighbour in partition 1, to be put back as it was.

    Attributes:
        log: The log.
        run: The command line on it.
        names: A session of each partition.
        dumps: The keys as they were.
        pending: The feed's id of an entry that a dead consumer has.
        parked: The id of a parked entry.
    """

    log: SessionLog
    run: Run
    names: Sequence[str]
    dumps: dict[str, bytes]
    pending: str
    parked: str

    @property
    def keys(self) -> GroupKeys:
        """The keys of the group that are spoiled."""
        return self.log._events.keyspace.group(0, "g")

    def put_back(self) -> None:
        """As it was."""
        with self.log.client.pipeline(transaction=False) as pipeline:
            for key, dump in self.dumps.items():
                pipeline.execute_command("RESTORE", key, 0, dump, "REPLACE")
            pipeline.execute()

    def spoil(self, spoil: Spoil) -> None:
        """Put something else there."""
        key, send = getattr(self.keys, spoil.key), self.log.client.execute_command
        if not spoil.field:
            send("DEL", key)
            if spoil.value != "missing":
                name, *arguments = TYPES[spoil.value]
                send(name, key, *arguments)
        elif spoil.key == "group":
            field = f"error:{self.pending}" if spoil.field == "error" else spoil.field
            send("HDEL", key, field) if spoil.value == "missing" else send("HSET", key, field, VALUES[spoil.value])
        elif spoil.field == "entry":
            send("XADD", key, LARGE_IDS[spoil.value], "field", "value")
        elif spoil.key == "replay":
            send("ZADD", key, spoil.field, VALUES[spoil.value])
        elif spoil.key == "position":
            send("SET", key, VALUES[spoil.value])
        else:
            self._rewrite(key, spoil)

    def _rewrite(self, key: str, spoil: Spoil) -> None:
        """The last entry of a stream, with one field another; a stream takes it at the same id only when it is new."""
        send = self.log.client.execute_command
        ((id_, flat),) = raw(self.log, b"XREVRANGE", key, "+", "-", "COUNT", 1)
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        fields.pop(spoil.field.encode())
        if spoil.value != "missing":
            fields = {
                name.encode(): VALUES[spoil.value] if name == spoil.field else fields[name.encode()]
                for name in (ENVELOPE if spoil.key == "feed" else PARKED)
            }
        send("XDEL", key, id_)
        ms, _, number = id_.decode().partition("-")
        send("XADD", key, f"{ms}-{int(number) + 1}", *(part for pair in fields.items() for part in pair))

    def wanted(self, spoil: Spoil) -> set[tuple[str, int]]:
        """What the feed must deliver all the same."""
        mine, neighbour = self.names
        unsettled = (
            set()
            if not spoil.field
            else {(mine, number) for number in range(3, 8 - (spoil.key == "feed" and spoil.field != "entry"))}
        )
        return unsettled | {(neighbour, number) for number in range(3)}


@pytest.fixture
def ground(client: Client, server_url: str, namespace: str) -> Iterator[Ground]:
    """A group with something of everything in it."""
    with SessionLog(client, namespace, partitions=2) as log:
        names = [
            next(name for name in map(str, range(99)) if log._events.keyspace.partition(name) == at) for at in (0, 1)
        ]
        _append(log, names[0], range(6))
        _take_part(log)
        _append(log, names[0], range(6, 8))
        _append(log, names[1], range(3))
        keys = [key for at in (0, 1) for key in log._events.keyspace.group(at, "g")]
        dumps = {key: dump for key in keys if (dump := client.execute_command("DUMP", key, NEVER_DECODE=True))}
        row = raw(log, b"XPENDING", keys[0], "g", "-", "+", 1)[0]
        parked = [one.parked_id for one in log.parked("g")]
        yield Ground(log, runner(server_url, namespace), names, dumps, row[0].decode(), parked[0])


def _append(log: SessionLog, name: str, numbers: range) -> None:
    log.append(name, [events.Custom("custom.number", {"number": number}) for number in numbers])


def _take_part(log: SessionLog) -> None:
    """One event is done, two are parked, two are in the hands of a consumer that is gone, one was given back."""
    with Subscriber(log, "g", "c") as deliveries:
        first, second, third, *_ = [next(deliveries) for _ in range(6)]
        first.ack()
        second.park("later")
        third.park("later")
    keys, send = log._events.keyspace.group(0, "g"), log.client.execute_command
    log.parked("g").replay([one.parked_id for one in log.parked("g")][:1])
    pending = [row[0] for row in raw(log, b"XPENDING", keys.feed, "g", "-", "+", 2)]
    send("XCLAIM", keys.feed, "g", "gone", 0, *pending)
    noted = {**NOTED, f"error:{pending[0].decode()}": "1 ValueError: no"}
    send("HSET", keys.group, *(part for pair in noted.items() for part in pair))


class Handled(NamedTuple):
    """What a consumer did.

    Attributes:
        seen: What it was given.
        seconds: How long that took.
    """

    seen: set[tuple[str, int]]
    seconds: float


def consume(ground: Ground, wanted: set[tuple[str, int]], patience: float = PATIENCE, **settings: Any) -> Handled:
    """Handle what there is until all that is wanted was given, or patience is over."""
    seen, began = set[tuple[str, int]](), time.monotonic()
    settings = {"claim_after": 0.05, "backoff": 0.01, "on_gap": "skip", "max_attempts": 9, "bodies": True, **settings}
    with Subscriber(ground.log, "g", "c", **settings) as deliveries:
        timer = threading.Timer(patience, deliveries.stop)
        timer.start()
        for delivery in deliveries:
            if delivery.key and delivery.event:
                # Not what is read from the sessions beside the feed.
                seen.add((delivery.session_id, delivery.event.data["number"]))
            # On a busy machine the lease may be over; then it comes once more.
            with suppress(DeliveryLostError):
                delivery.ack()
            if wanted <= seen:
                deliveries.stop()
        timer.cancel()
    return Handled(seen, time.monotonic() - began)


def tail(ground: Ground) -> None:
    """Read the feed, and go on behind what is told of as an error."""
    with ground.log.tail() as found:
        timer = threading.Timer(0.3, found.close)
        timer.start()
        errors = 0
        neighbours = 0
        while neighbours < 3 and errors < 20:
            try:
                neighbours += next(found).session_id == ground.names[1]
            except SessionLogError:
                errors += 1
            except StopIteration:
                break
        timer.cancel()
        assert neighbours == 3


def trim(ground: Ground) -> None:
    for partition in (0, 1):
        try:
            ground.log._events.trim_feed(partition, exactly=True)
        except SessionLogError:
            assert partition == 0


def listed(ground: Ground) -> None:
    found = ground.log.groups()
    assert {one.partition for one in found if one.group == "g"} >= {1}


OPERATIONS: dict[str, Callable[[Ground], object]] = {
    "groups": listed,
    "parked list": lambda ground: list(ground.log.parked("g")),
    "parked get": lambda ground: ground.log.parked("g").get(ground.parked),
    "parked replay": lambda ground: ground.log.parked("g").replay([one.parked_id for one in ground.log.parked("g")]),
    "parked drop": lambda ground: ground.log.parked("g").drop([one.parked_id for one in ground.log.parked("g")]),
    "catch up": lambda ground: ground.log.settle_gaps("g", "catch_up"),
    "skip": lambda ground: ground.log.settle_gaps("g", "skip"),
    "delete": lambda ground: ground.log.delete_group("g"),
    "trim": trim,
    "tail": tail,
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "groups": ("groups",),
    "groups --json": ("groups", "--partitions", "--json"),
    "parked list": ("parked", "list", "g"),
    "parked list --json": ("parked", "list", "g", "--json"),
    "parked show": ("parked", "show", "g", "PARKED"),
    "parked replay": ("parked", "replay", "g", "--all"),
    "parked drop": ("parked", "drop", "g", "--all", "--yes"),
    "catch-up": ("groups", "catch-up", "g"),
    "skip": ("groups", "skip", "g", "--yes"),
    "delete": ("groups", "delete", "g", "--yes"),
}


def trouble(ground: Ground, spoil: Spoil, call: Callable[[], object], may_refuse: bool) -> str:
    """What went wrong; empty when it ended as it should.

    What waits for something that will not come takes long each time, and what a busy machine holds up does not.
    """
    found = _trouble(ground, spoil, call, may_refuse)
    return _trouble(ground, spoil, call, may_refuse) if "took" in found else found


def _trouble(ground: Ground, spoil: Spoil, call: Callable[[], object], may_refuse: bool) -> str:
    ground.put_back()
    ground.spoil(spoil)
    began = time.monotonic()
    try:
        call()
    except SessionLogError as error:
        if not may_refuse:
            return f"{spoil}: refused: {type(error).__name__}: {error}"
    except BaseException as error:
        return f"{spoil}: {type(error).__name__}: {error}"
    took = time.monotonic() - began
    return f"{spoil}: took {took:.1f} s" if took > TIME_BOX else ""


def may_refuse(operation: str, spoil: Spoil) -> bool:
    """Whether an error is an answer: where a key is no longer what it was, or what is asked for is not there."""
    return not spoil.field or (operation == "parked replay" and spoil.key == "parked")


def share_of(share: int) -> Sequence[Spoil]:
    """Every so-many-th of what is wrong, so that each share has something of each key."""
    return SPOILS[share::SHARES]


def test_the_corpus_is_large_enough() -> None:
    assert len(SPOILS) >= 350
    assert len(SPOILS) * (len(OPERATIONS) + 2) >= 4_000


@pytest.mark.parametrize("share", sampled(range(SHARES), SHARES))
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_asked_of_a_group_that_somebody_else_wrote_to_is_answered_or_refused(
    ground: Ground, operation: str, share: int
) -> None:
    call = OPERATIONS[operation]
    found = [trouble(ground, spoil, lambda: call(ground), may_refuse(operation, spoil)) for spoil in share_of(share)]
    assert [one for one in found if one] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_on_a_group_that_somebody_else_wrote_to_ends_in_one_line(ground: Ground, command: str) -> None:
    arguments = [ground.parked if one == "PARKED" else one for one in COMMANDS[command]]
    # A command takes long to begin, and asks what the test above has asked: each has its share of them.
    share = SPOILS[list(COMMANDS).index(command) :: len(COMMANDS)]
    found = [trouble(ground, spoil, lambda: ground.run(*arguments, exit_code=None), True) for spoil in share]
    assert [one for one in found if one] == []


@pytest.mark.parametrize("ordered", [False, True], ids=["competing", "ordered"])
@pytest.mark.parametrize("largest", LARGE_IDS)
def test_a_feed_that_ends_with_what_others_have_put_there_is_read_to_its_end_and_told_of(
    ground: Ground, largest: str, ordered: bool
) -> None:
    spoil = Spoil("feed", "entry", largest)
    ground.put_back()
    ground.spoil(spoil)
    for _ in range(2):
        consume(ground, ground.wanted(spoil) | {("none", 0)}, ordered=ordered, patience=0.5)
    (found,) = [one for one in ground.log.groups() if one.partition == 0]
    assert (found.lag, found.pending) == (0, 0)
    with ground.log.tail() as tail:
        envelopes, errors = 0, list[type[Exception]]()
        while envelopes < 11 or CorruptEntryError not in errors:
            try:
                envelopes += bool(next(tail))
            except SessionLogError as error:
                errors.append(type(error))
        assert len(errors) <= 2
        position = str(tail.position)
    with ground.log.tail(after=position) as again:
        _append(ground.log, ground.names[1], range(3, 4))
        assert next(again).session_id == ground.names[1]


@pytest.mark.parametrize("share", sampled(range(SHARES), SHARES))
@pytest.mark.parametrize("ordered", [False, True], ids=["competing", "ordered"])
def test_what_is_not_broken_is_delivered_whatever_else_is(ground: Ground, ordered: bool, share: int) -> None:
    found = []
    for spoil in share_of(share):
        wanted = ground.wanted(spoil)

        def call(wanted: set[tuple[str, int]] = wanted) -> None:
            handled = consume(ground, wanted, ordered=ordered)
            assert wanted <= handled.seen, f"not delivered: {sorted(wanted - handled.seen)}"

        found.append(trouble(ground, spoil, call, False))
    assert [one for one in found if one] == []
