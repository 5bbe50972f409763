"""An append that simply follows takes shortcuts in its script, and does exactly what it does without them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from valkey.exceptions import ResponseError

from strands_session_log import SessionLog, events
from strands_session_log.codec import encode
from strands_session_log.event_log import ANY, NO_SESSION, AgentAt, Expected, InLife, MultiAgentAt, SessionAt
from strands_session_log.event_log.chained_batch import Position, chain_batch
from strands_session_log.ids import START, EventId
from strands_session_log.keys import Keyspace, SessionKeys
from strands_session_log.scripts import APPEND

NUMBERS = count()
AGENTS = ("default", "graph:node", "with space")
BEGIN = 1_800_000_000_000
SHORTCUTS = {
    r"local follows = [^\n]*\n[^\n]*\n": "local follows = false\n",
    r"if expectation ~= '' and not [^\n]* then\n": "if expectation ~= '' then\n",
    r"if last and last \+ 1 == index \+ 0 then\n": "if false then\n",
    r"if moved and messages and not changes [^\n]* then\n": "if false then\n",
}
_CLOCK = re.compile(r"call\('TIME'\)")
_PLACE = re.compile(r"script: \w+.*|@user_script:\s?\d+|user_script:\d+|[0-9a-f]{40}")


def without_shortcuts(source: str) -> str:
    for shortcut, instead in SHORTCUTS.items():
        source, found = re.subn(shortcut, instead, source)
        assert found == 1, shortcut
    return source


class Side(NamedTuple):
    """The same session on a script with shortcuts, or on one without."""

    client: Any
    keys: SessionKeys
    source: str

    def append(self, arguments: Sequence[bytes], begins: bool, now: int) -> Any:
        """The reply, or what the server says instead; the clock shows what it is to show."""
        source = _CLOCK.sub(f"{{ '{now // 1000}', '{now % 1000:03}000' }}", self.source)
        keys = self.keys.begin if begins else self.keys.append
        try:
            return self.client.execute_command("EVAL", source, len(keys), *keys, *arguments, NEVER_DECODE=True)
        except ResponseError as error:
            return _PLACE.sub("", str(error))

    def all_there_is(self) -> list[Any]:
        ask, keys = self.client.execute_command, self.keys
        found = [
            ask("XRANGE", keys.events, "-", "+"),
            ask("XRANGE", keys.feed, "-", "+"),
            ask("HGETALL", keys.head),
            ask("ZRANGE", keys.sessions, 0, -1, "WITHSCORES"),
            ask("TYPE", keys.position),
        ]
        return [*found, ask("GET", keys.position) if found[-1] in (b"string", "string") else None]


class Step(NamedTuple):
    """What is tried, and what somebody does to the keys before."""

    batch: Sequence[tuple[int, str, int]]
    expected: int
    base: int
    clock: int
    spoil: int


def message(agent: str, index: int) -> events.Event:
    return events.MessageAdded({"message": {"role": "user", "content": [{"text": "hi"}]}, "message_id": index}, agent)


KINDS: Sequence[Callable[[str, int], events.Event]] = (
    message,
    message,
    lambda agent, _: events.AgentUpdated({"state": {}}, agent),
    lambda agent, _: events.MultiAgentUpdated({"status": "executing"}, agent),
    lambda agent, _: events.InvocationStarted({"invocation": "i"}, agent),
    lambda agent, _: events.ModelCompleted({"usage": {"inputTokens": 3, "outputTokens": 2}}, agent),
    lambda agent, _: events.ToolFailed({"name": "lookup"}, agent),
    lambda *_: events.Custom("custom.note", {"n": 1}),
)
FOREIGN: Sequence[Sequence[Any]] = (
    *(("HSET", "head", "revision", value) for value in ("5.0", "x", "", "100000000000000", "-1")),
    *(("HSET", "head", "ms", value) for value in ("", "1e3", "nan", "99999999999999999", "1")),
    *(("HDEL", "head", field) for field in ("revision", "link", "ms", "counts", "agent:default:messages")),
    ("HSET", "head", "link", "short"),
    *(("HSET", "head", "agent:default:messages", value) for value in ("junk", "0-3,7-9", "-5--3", "5", "0-1e3", "")),
    *(("HSET", "head", "agent:default:moved", value) for value in ("junk", "", "1 2", "3")),
    *(("HSET", "head", "counts", value) for value in ("junk", "1 2", "")),
    ("DEL", "head"),
    ("DEL", "events"),
    ("XADD", "events", "99999999999999-1", "a", "b"),
    ("DEL", "position"),
    ("SET", "position", "70"),
    ("SET", "position", "1"),
    ("SET", "position", "junk"),
    ("DEL", "feed"),
    ("XTRIM", "feed", "MAXLEN", "1"),
    ("XTRIM", "feed", "MAXLEN", "0"),
    ("XADD", "feed", "99999999999999-3", "a", "b"),
    ("DEL", "sessions"),
)

steps = st.builds(
    Step,
    st.lists(
        st.tuples(st.integers(0, len(KINDS) - 1), st.sampled_from(AGENTS[:1] * 4 + AGENTS), st.integers(-6, 2)),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, 24),
    st.sampled_from([0] * 8 + [1, 2, 3]),
    st.sampled_from([1, 1, 1, 0, -5, 4_000]),
    st.sampled_from([-1] * 120 + list(range(len(FOREIGN)))),
)


class Writer:
    """Chains what both sides are told, and learns from what they answer."""

    def __init__(self, sides: Sequence[Side]) -> None:
        self.sides, self.now = sides, BEGIN
        self.position, self.before, self.next = Position(), Position(), dict.fromkeys(AGENTS, 0)
        self.moved: dict[str, EventId] = {}
        self.last: tuple[list[bytes], bool] | None = None

    def take(self, step: Step) -> None:
        self.now += step.clock
        if step.spoil >= 0:
            command, key, *rest = FOREIGN[step.spoil]
            for side in self.sides:
                _carry_out(side, command, key, rest)
        arguments, begins = self._call(step)
        replies = [side.append(arguments, begins, self.now) for side in self.sides]
        assert replies[0] == replies[1]
        assert self.sides[0].all_there_is() == self.sides[1].all_there_is()
        self.last = arguments, begins
        self._learn(replies[0], step)

    def _call(self, step: Step) -> tuple[list[bytes], bool]:
        if step.base == 1 and self.last is not None:
            return self.last
        base = (self.position, Position(), self.before, Position(EventId(BEGIN, 1), "x" * 43))[step.base]
        after = dict(self.next)
        batch = []
        for kind, agent, shift in step.batch:
            index = max(0, after[agent] + (shift if shift > 0 else 1 if shift == -6 else 0))
            batch.append(encode(KINDS[kind](agent, index)))
            after[agent] = index + 1 if KINDS[kind] is message else after[agent]
        if base.id.revision and base.link == "x" * 43:
            base = Position(base.id, self.position.link or base.link)
        sealed = chain_batch("s", batch, self._expected(step), base)
        return sealed.arguments, not base.id.revision

    def _expected(self, step: Step) -> Expected:
        agent = step.batch[0][1]
        moved, following = self.moved.get(agent, START), self.next[agent]
        rest: Sequence[Expected] = (
            NO_SESSION,
            SessionAt(self.position.id.revision),
            SessionAt(3),
            AgentAt(agent),
            AgentAt(agent, moved.revision),
            AgentAt(agent, moved, following),
            AgentAt(agent, None, following + 1),
            AgentAt(agent, EventId(BEGIN, 99)),
            AgentAt("with space", START),
            MultiAgentAt(agent, moved),
            MultiAgentAt(agent, START),
            InLife(f"{BEGIN + 1} "),
            InLife(" "),
        )
        if step.expected < len(rest):
            return rest[step.expected]
        return ANY if step.expected % 2 else AgentAt(agent, moved)

    def _learn(self, reply: Any, step: Step) -> None:
        if isinstance(reply, bytes):
            _, link, id_ = reply.split(b" ")
            first = EventId.parse(id_)
            self.before = self.position
            self.position = Position(EventId(first.ms, first.revision + len(step.batch) - 1), link.decode())
            for kind, agent, _ in step.batch:
                if KINDS[kind] is message or kind == 2:
                    self.moved[agent] = self.position.id
                self.next[agent] += KINDS[kind] is message
        elif isinstance(reply, list) and reply[0] == b"moved" and re.fullmatch(rb"0-0|\d{12,16}-\d{1,16}", reply[1]):
            self.position = Position(EventId.parse(reply[1]), reply[2].decode())


def _carry_out(side: Side, command: str, key: str, rest: Sequence[str]) -> None:
    try:
        side.client.execute_command(command, getattr(side.keys, key), *rest)
    except ResponseError:
        # What is there lies behind it, on both sides.
        return


def both_sides(log: SessionLog) -> list[Side]:
    source, number = APPEND.source.decode(), next(NUMBERS)
    keys = [Keyspace(f"{log.namespace}:{name}{number}", 1).session("s") for name in ("with", "without")]
    return [Side(log.client, its, text) for its, text in zip(keys, (source, without_shortcuts(source)), strict=True)]


@given(st.lists(steps, min_size=1, max_size=12))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_appended_wherever_it_stands_shortcuts_change_nothing(
    session_log: SessionLog, wanted: Sequence[Step]
) -> None:
    writer = Writer(both_sides(session_log))
    for step in wanted:
        writer.take(step)


def test_what_simply_follows_takes_them(session_log: SessionLog) -> None:
    """So that the test above compares what it is to compare."""
    writer = Writer(both_sides(session_log))
    for number in range(12):
        writer.take(Step([(0, "default", 0)], 24 if number else 23, 0, 1, -1))
        assert writer.position.id.revision == number + 1
