"""The corpus of `test_junk_keys.py`: what may stand under the keys of a session instead of what belongs there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from strands_session_log.codec import FIELDS as EVENT_FIELDS
from strands_session_log.codec.delta import FIELDS as LIVE_FIELDS

NOT_UTF8 = b"\xff\xfe"
KINDS: Mapping[str, bytes | None] = {
    "missing": None,
    "junk": b"junk",
    "huge": b"9" * 20,
    "negative": b"-5",
    "empty": b"",
    "not UTF-8": NOT_UTF8,
}
RANGES = {"long": b"1-999999999999"}
"""What fields that hold ranges may hold besides."""
HEAD_FIELDS = (
    *("revision", "link", "ms", "created", "erased", "forks", "ancestors", "parent", "root", "rewrite"),
    *("agent:default:messages", "agent:default:moved"),
)
FEED_FIELDS = (b"session", b"id", b"type", b"agent", b"link", b"facts")
IDS = ("18446744073709551615-7", "9999999999999999-99999999999999999", f"{10**14}-{10**14}")
RIGHT_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("events", "live", "rewrite", "feed"), "stream"),
    **dict.fromkeys(("head", "snapshot", "config"), "hash"),
    **dict.fromkeys(("sessions", "listing"), "zset"),
    **dict.fromkeys(("position", "stored"), "string"),
}
MEMBERS: Mapping[str, bytes] = {
    "not UTF-8": NOT_UTF8,
    "empty": b"",
    "control": b"a\nb",
    "unseen": "a\u2028b".encode(),
    "long": b"x" * 300,
    "unknown": b"nobody",
}
SCORES = ("inf", "-inf", "1e300", "-5", "1.5", "0")


class Junk(NamedTuple):
    """One thing to put somewhere.

    Attributes:
        name: What and where.
        key: The name of the key.
        put: Puts it there.
        shared: What every session of the partition suffers from: `sessions` or `feed`, the key that is none any more.
    """

    name: str
    key: str
    put: Callable[[Any, str], object]
    shared: str = ""

    @property
    def is_binary(self) -> bool:
        """Whether it holds bytes that are no text."""
        return "binary" in self.name or "not UTF-8" in self.name


def corpus() -> Iterator[Junk]:
    """All of it; on keys that hold what belongs there."""
    yield from _types()
    yield from _fields()
    yield from _entries()
    yield from _others()
    yield from _members()


def _types() -> Iterator[Junk]:
    for key, right in RIGHT_TYPES.items():
        for type_, put in TYPES.items():
            if type_ != right:
                yield Junk(f"{key} is a {type_}", key, put, key if key in ("sessions", "feed") else "")
        if right in ("hash", "stream"):
            yield Junk(f"{key} is a foreign {right}", key, TYPES[right])
        yield Junk(
            f"{key} is missing", key, lambda client, at: client.delete(at), "sessions" if key == "sessions" else ""
        )


def _fields() -> Iterator[Junk]:
    for key, fields in (("head", HEAD_FIELDS), ("config", ("format", "partitions"))):
        for field in fields:
            for kind, value in {**KINDS, **RANGES}.items():
                yield Junk(f"{key}.{field} {kind}", key, _field(field, value))
    for value in (b"0", b"1025", b"1000000000", b"1.5"):
        yield Junk(f"config.partitions {value.decode()}", "config", _field("partitions", value))


def _entries() -> Iterator[Junk]:
    for key, names, at in (("events", EVENT_FIELDS, 3), ("live", LIVE_FIELDS, 0), ("feed", FEED_FIELDS, -1)):
        for name in names:
            for kind, value in KINDS.items():
                yield Junk(f"{key}[{at}].{name.decode()} {kind}", key, _entry(at, name, value))
    for key in ("events", "live", "feed"):
        for id_ in IDS:
            yield Junk(f"{key} ends with {id_}", key, _ends_with(id_), "feed" if key == "feed" else "")


def _others() -> Iterator[Junk]:
    for kind, value in KINDS.items():
        if value is not None:
            yield Junk(f"position {kind}", "position", _set(value))
    yield Junk("position 10**14", "position", _set(b"%d" % 10**14))
    yield Junk("rewrite for a year", "rewrite", _for_a_year)


def _members() -> Iterator[Junk]:
    for key in ("sessions", "listing"):
        for kind, member in MEMBERS.items():
            yield Junk(f"{key} has a member {kind}", key, _member(member, "inf"))
        for score in SCORES:
            yield Junk(f"{key} has a score {score}", key, _member(b"s", score))
            yield Junk(f"{key} has many {score}", key, _many(score))


def _set(value: bytes) -> Callable[[Any, str], object]:
    return lambda client, key: client.set(key, value)


def _field(field: str, value: bytes | None) -> Callable[[Any, str], object]:
    def put(client: Any, key: str) -> object:
        return client.hdel(key, field) if value is None else client.hset(key, field, value)

    return put


def _entry(at: int, name: bytes, value: bytes | None) -> Callable[[Any, str], object]:
    def put(client: Any, key: str) -> None:
        entries = client.xrange(key)
        id_, fields = entries[at]
        changed = {**fields, name: value}
        entries[at] = id_, {one: held for one, held in changed.items() if held is not None}
        pipeline = client.pipeline(transaction=False)
        pipeline.delete(key)
        for id_, fields in entries:
            pipeline.xadd(key, fields, id_)
        pipeline.execute()

    return put


def _ends_with(id_: str) -> Callable[[Any, str], object]:
    return lambda client, key: client.execute_command("XADD", key, id_, "foreign", "entry")


def _for_a_year(client: Any, key: str) -> None:
    TYPES["stream"](client, key)
    client.expire(key, 365 * 86_400)


def _member(member: bytes, score: str) -> Callable[[Any, str], object]:
    return lambda client, key: client.execute_command("ZADD", key, score, member)


def _many(score: str) -> Callable[[Any, str], object]:
    def put(client: Any, key: str) -> None:
        pairs: Sequence[Any] = [part for number in range(300) for part in (score, b"\xff%d" % number)]
        client.execute_command("ZADD", key, *pairs)

    return put


def _made(*command: Any) -> Callable[[Any, str], object]:
    def put(client: Any, key: str) -> None:
        client.delete(key)
        client.execute_command(command[0], key, *command[1:])

    return put


TYPES: Mapping[str, Callable[[Any, str], object]] = {
    "string": _made("SET", b"junk"),
    "binary": _made("SET", NOT_UTF8),
    "list": _made("RPUSH", b"junk"),
    "set": _made("SADD", b"junk"),
    "zset": _made("ZADD", 1, b"junk"),
    "hash": _made("HSET", b"junk", b"junk"),
    "stream": _made("XADD", "1-1", b"junk", b"junk"),
}
