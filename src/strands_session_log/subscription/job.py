"""One piece of work beside the feed, in one partition."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from ..codec import RawEntry, decode, fields_of, to_json
from ..event_log import EventLog
from ..feed import Envelope, FeedId, envelope
from ..ids import EventId
from .group import Group
from .tally import Tally

_SLACK_MS = 60_000
"""A clock may go back when another server is promoted; so much is read again rather than left out."""
_SAVE_EVERY = 0.2
_FOREVER = float("inf")
_WENT_AWAY = "its consumers went away while they handled it"


@dataclass(slots=True)
class Item:
    """One event to be delivered.

    Attributes:
        envelope: What the feed would say of it.
        body: Its entry in the session; None when it is gone.
        attempts: Which attempt this is.
        expires: Until when it is this consumer's.
        parked_id: The entry it was parked as, if it was.
        is_settled: Whether somebody has said what became of it.
        due_at: When it may be tried (again), on the monotonic clock.
    """

    envelope: Envelope
    body: RawEntry | None
    attempts: int = 1
    expires: float = _FOREVER
    parked_id: str = ""
    is_settled: bool = False
    due_at: float = 0.0
    is_out: bool = False


class Job:
    """Reads events and remembers up to where they are settled; use `begin`.

    Attributes:
        kind: `history`, `between …` or `replay`.
    """

    def __init__(self, group: Group, partition: int, kind: str, source: Iterator[Item], tries: int) -> None:
        self.kind = kind
        self._group, self._partition, self._source = group, partition, source
        self._items: list[Item] = []
        self._tries, self._is_read, self._saved_at = tries, False, time.monotonic()
        self._cursor, self._replayed, self._parked = "", list[str](), list[tuple[Item, str]]()

    @classmethod
    def begin(cls, events: EventLog, group: Group, partition: int, kind: str) -> Job:
        """Go on where the work stands."""
        keys = group.keyspace.group(partition, group.settings.group)
        cursor, replay = group.command(b"HMGET", keys.group, "cursor", "replay")
        if kind == "replay":
            return cls(group, partition, kind, _parked(group, partition, (replay or b"").decode().split()), 1)
        tries = int(group.command(b"HINCRBY", keys.group, "tries", 1))
        return cls(group, partition, kind, _sessions(events, group, partition, kind, (cursor or b"").decode()), tries)

    @property
    def outstanding(self) -> int:
        """How many events are in somebody's hands."""
        return sum(item.is_out for item in self._items)

    def next(self, room: int) -> list[Item]:
        """What may be delivered now.

        After a consumer died twice at the same place, one event at a time; when it did so once more than allowed, the
        first of them is parked.
        """
        settings = self._group.settings
        careful = self._tries >= 2
        room = min(room, 1 - self.outstanding) if careful or settings.ordered else room
        while not self._is_read and len(self._items) < room + self.outstanding:
            item = next(self._source, None)
            if item is None:
                self._is_read = True
            else:
                self._items.append(item)
        if self._tries > settings.max_attempts and self._items:
            self._tries = 2
            self._give_up(self._items[0], _WENT_AWAY)
        now = time.monotonic()
        waiting = [item for item in self._items if not item.is_out and not item.is_settled and item.due_at <= now]
        for item in waiting[: max(0, room)]:
            item.is_out = True
        return waiting[: max(0, room)]

    def settle(self, about: Envelope, what: str, error: str) -> bool:
        """Note what became of an event; false when it is none of these."""
        item = next((one for one in self._items if one.is_out and one.envelope is about), None)
        if item is None:
            return False
        item.is_out = False
        if what == "ack":
            item.is_settled = True
        elif what == "park" or (what == "fail" and item.attempts >= self._group.settings.max_attempts):
            self._give_up(item, error)
        elif what == "fail":
            item.due_at = time.monotonic() + self._group.settings.pause_ms(item.attempts) / 1000
            item.attempts += 1
        return True

    def save(self, tally: Tally, leave: bool = False) -> bool:
        """Tell the server how far it came, now and then; false when the work is done, or another's now."""
        settled = [item for item in self._items if item.is_settled]
        while self._items and self._items[0].is_settled:
            item = self._items.pop(0)
            self._cursor = f"{item.envelope.id} {item.envelope.session_id}" if not item.parked_id else ""
        if self.kind == "replay":
            self._replayed += [item.parked_id for item in settled]
            self._items = [item for item in self._items if not item.is_settled]
        is_done = self._is_read and not self._items
        is_due = time.monotonic() - self._saved_at >= _SAVE_EVERY or self._tries >= 2
        if not (is_done or leave or is_due):
            return True
        kept = self._tell(is_done, leave, tally)
        return kept and not is_done

    def _tell(self, is_done: bool, leave: bool, tally: Tally) -> bool:
        done = "done" if is_done else ""
        lease = 0 if leave else self._group.settings.claim_after_ms
        arguments: list[Any] = [self._group.settings.consumer, lease, self.kind, self._cursor, done]
        arguments.append(" ".join(self._replayed))
        for item, error in self._parked:
            arguments += _fields(item, error)
        kept = self._group.work(self._partition, arguments)
        tally.add(parked=len(self._parked))
        self._cursor, self._replayed, self._parked, self._saved_at = "", [], [], time.monotonic()
        return kept

    def _give_up(self, item: Item, error: str) -> None:
        item.is_settled = True
        self._parked.append((item, error))


def _fields(item: Item, error: str) -> list[Any]:
    one = item.envelope
    return [
        *("session", one.session_id, "id", str(one.id), "type", one.type, "agent", one.agent, "link", one.link),
        *("facts", one.facts_json, "feed", one.feed_id.stream_id, "attempts", item.attempts, "error", error),
    ]


def _parked(group: Group, partition: int, ids: list[str]) -> Iterator[Item]:
    """Parked entries that are to be tried again."""
    key = group.keyspace.group(partition, group.settings.group).parked
    for id_ in ids:
        for _, fields in group.command(b"XRANGE", key, id_, id_):
            found = envelope(partition, _place(fields), fields[:12])
            yield Item(found, group.body(found), parked_id=id_)


def _place(fields: list[bytes]) -> bytes:
    return fields[13]


def _sessions(events: EventLog, group: Group, partition: int, kind: str, cursor: str) -> Iterator[Item]:
    """The events of all sessions of a partition, or those of a time, session by session in the order of their ids."""
    from_ms, to_ms = (int(ms) for ms in kind.split()[1:]) if kind.startswith("between") else (0, 1 << 62)
    at, _, last_session = cursor.partition(" ")
    lines = group.command(b"ZRANGE", events.keyspace.sessions(partition), from_ms - _SLACK_MS, "+inf", "BYSCORE")
    for session_id in sorted(line.decode() for line in lines):
        if session_id < last_session:
            continue
        start = f"({at}" if session_id == last_session else str(max(0, from_ms - _SLACK_MS))
        for page in events.pages(session_id, start, str(to_ms) if to_ms < 1 << 62 else "+"):
            for entry_id, flat in page:
                yield _item(partition, session_id, entry_id, flat)


def _item(partition: int, session_id: str, entry_id: bytes, flat: Any) -> Item:
    recorded = decode(entry_id, fields_of(flat))
    event = recorded.event
    facts = b"{}" if event.is_erased else orjson.dumps(to_json(event.facts(), "facts"))
    place = FeedId(partition, recorded.id.ms, 0)
    of_feed = Envelope(place, session_id, EventId(*recorded.id), event.type, event.agent, recorded.link, facts)
    return Item(of_feed, (entry_id, flat))
