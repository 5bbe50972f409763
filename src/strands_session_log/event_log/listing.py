"""Lists of sessions: what their heads sum up, of those that are wanted, and what was said last.

Heads are looked through in pages. What is content is never stored a second time: labels and what was said last are read
from the events, of the sessions that are found only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any, NamedTuple, TypeAlias

import orjson

from ..codec import recorded
from ..encryption import Cipher
from ..errors import TIMES, CorruptEntryError, CorruptKeyError, EncryptionError, InvalidPointError, ServerRefusedError
from ..events import AgentActivity, Recorded, SessionAnnotated, SessionInfo
from ..events.listing import ActivityStatus
from ..ids import MAX_MS, EventId, Revision, milliseconds, parse_point
from ..server import Store, number, pairs
from ..state.summary import ANNOTATED, ANSWER, CUT, FAILED, RUNNING, TOOL, OpenLine, Summary
from .diagnosis import parsed, whole
from .directory import Directory, DirectoryLine, DirectoryRange
from .recounting import Pages, sum_up

logger = logging.getLogger(__name__)

_OF_AGENT = re.compile(r"(?:multi_)?agent:(.+):(messages|moved)", re.DOTALL)
_SPAN = re.compile(r"(-?[0-9]{1,15})-(-?[0-9]{1,15})")
_STATUSES: tuple[tuple[str, ActivityStatus], ...] = (
    (ANSWER, "answer"),
    (TOOL, "tool"),
    (RUNNING, "running"),
    (FAILED, "failed"),
)
_Entry: TypeAlias = "tuple[bytes, Mapping[bytes, bytes]]"
_Listed: TypeAlias = "tuple[DirectoryLine, str]"
_SCANNED, _MOST_AT_ONCE = 1_000, 10_000
_LAST_EVENTS, _MORE_LAST_EVENTS = 10, 200


class Wanted(NamedTuple):
    """Which sessions are wanted.

    Attributes:
        failed: Those with an agent whose last call failed,
        waiting: and those with one that waits for a person; all, where neither is asked for.
        agent: With this agent, graph or swarm; empty for any.
        labels: With these labels, as text.
        with_last_message: Whether what was said last is to be told.
    """

    failed: bool = False
    waiting: bool = False
    agent: str = ""
    labels: Mapping[str, str] = {}
    with_last_message: bool = False

    @property
    def is_any(self) -> bool:
        """Whether all are wanted, so that none needs to be looked at twice."""
        return not (self.failed or self.waiting or self.agent or self.labels)

    def may_be(self, reply: Any) -> bool:
        """Whether a head may be of one, from its `open` and `counts`, and what it has of the agent."""
        if not isinstance(reply, Sequence):
            return False
        lines, of_agent = reply[0] or b"", reply[1:]
        if lines.startswith(CUT):
            return True
        kinds = [kind for kind, is_asked in ((b"\tfailed\t", self.failed), (b"\tanswer\t", self.waiting)) if is_asked]
        if kinds and not any(kind in lines for kind in kinds):
            return False
        if self.labels and b"\tannotated\t" not in lines:
            return False
        return not self.agent or any(of_agent) or f"\n{self.agent}\t".encode() in lines

    def is_one(self, info: SessionInfo) -> bool:
        """Whether a session is one, but for its labels."""
        statuses = {one.status for one in info.agents}
        asked = {status for status, is_asked in (("failed", self.failed), ("answer", self.waiting)) if is_asked}
        has_agent = not self.agent or any(one.agent == self.agent for one in info.agents)
        return has_agent and (not asked or bool(asked & statuses))

    def has_labels(self, info: SessionInfo) -> bool:
        """Whether a session has the labels."""
        return all(name in info.labels and _text(info.labels[name]) == value for name, value in self.labels.items())


class Listing:
    """Lists the sessions of one namespace.

    Args:
        store: See `EventLog`.
        clock: The clock of the server that holds a key, in milliseconds.
        pages: Reads the raw entries of a session from an id on.
        cipher: Opens what of them is encrypted.
    """

    def __init__(self, store: Store, clock: Callable[[str], int], pages: Pages, cipher: Cipher) -> None:
        self._store, self._keyspace, self._directory = store, store.keyspace, Directory(store)
        self._clock, self._pages, self._cipher = clock, pages, cipher

    def sessions(
        self,
        limit: int,
        wanted: Wanted,
        *,
        before: SessionInfo | datetime | str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        ascending: bool = False,
    ) -> list[SessionInfo]:
        """See `SessionLog.sessions`: two round trips a page, one more where labels or messages are read.

        Args:
            limit: How many at most.
            wanted: Which of them.
            before: Go on after this line of an earlier answer, or with what was active before this time.
            since: Those that were last active then or later.
            until: Those that were last active then or before.
            ascending: The oldest first.

        Raises:
            CorruptKeyError: When the directory of a partition is no sorted set.
            InvalidPointError: When a text is no time.
        """
        first = 0 if since is None else self._ms(since)
        last = MAX_MS if until is None else self._ms(until)
        place = None
        if isinstance(before, SessionInfo):
            place = DirectoryLine(milliseconds(before.last_event_at), before.session_id.encode())
        elif before is not None:
            last = min(last, self._ms(before) - 1)
        return self._found(limit, wanted, DirectoryRange(first, last, place, ascending))

    def session(self, session_id: str) -> SessionInfo | None:
        """See `SessionLog.session`; None where there is none.

        Raises:
            CorruptKeyError: When the head cannot be read.
        """
        key = self._head(session_id)
        head = _fields(key, self._asked([("HGETALL", key)])[0])
        if not head:
            return None
        line = DirectoryLine(parsed(key, "ms", head.get(b"ms"), whole), session_id.encode())
        if b"counts" not in head or b"open" not in head:
            with suppress(EncryptionError):
                summed_up = sum_up(self._pages, session_id, self._cipher)[0].fields()
                head |= {name.encode(): value.encode() for name, value in summed_up.items()}
        head = self._uncut(session_id, head)
        labelled = list(self._labelled([_info(key, line, session_id, head)]))
        return next(self._with_last_messages(labelled))

    def session_ids(self, since: datetime | str | None = None) -> Iterator[str]:
        """See `SessionLog.session_ids`.

        Raises:
            CorruptKeyError: When the directory of a partition is no sorted set.
            InvalidPointError: When the text is no time.
        """
        start = 0 if since is None else self._ms(since)
        return self._directory.session_ids(start, self._clock(self._keyspace.sessions(0)))

    def count(self, since: datetime | str) -> int:
        """See `SessionLog.count_sessions`; one round trip, one more where the time is relative."""
        return self._directory.count(self._ms(since))

    def _ms(self, time: datetime | str) -> int:
        """What is relative is so to the server's clock, from which events have their time."""
        if isinstance(time, datetime):
            return milliseconds(time)
        found = parse_point(time, now_ms=self._clock(self._keyspace.sessions(0)))
        if isinstance(found, Revision):
            raise InvalidPointError(time, takes=TIMES)
        return found.ms

    def _found(self, limit: int, wanted: Wanted, within: DirectoryRange) -> list[SessionInfo]:
        if limit <= 0:
            return []
        size = min(limit, _MOST_AT_ONCE) if wanted.is_any else _SCANNED
        found = (info for page in self._directory.pages(size, within) for info in self._page(page, wanted))
        infos = list(islice(found, limit))
        if not wanted.with_last_message:
            return infos
        parts = [infos[start : start + _SCANNED] for start in range(0, len(infos), _SCANNED)]
        return [info for part in parts for info in self._with_last_messages(part)]

    def _page(self, page: Sequence[DirectoryLine], wanted: Wanted) -> list[SessionInfo]:
        listed = [(line, session_id) for line in page if (session_id := line.session_id) is not None]
        if len(listed) < len(page):
            logger.warning("members=<%d> | passed over what is no session id", len(page) - len(listed))
        if not wanted.is_any:
            listed = self._candidates(listed, wanted)
        heads = self._asked([("HGETALL", self._head(session_id)) for _, session_id in listed])
        found = []
        for (line, session_id), reply in zip(listed, heads, strict=True):
            if (known := self._read(line, session_id, reply)) and wanted.is_one(known[0]):
                found.append(known)
        labelled = self._labelled(found)
        return [info for info in labelled if wanted.has_labels(info)]

    def _candidates(self, listed: Sequence[_Listed], wanted: Wanted) -> list[_Listed]:
        """Those whose heads need to be read whole."""
        agent = wanted.agent
        fields = (f"agent:{agent}:moved", f"agent:{agent}:messages", f"multi_agent:{agent}:moved") if agent else ()
        replies = self._asked([("HMGET", self._head(session_id), "open", *fields) for _, session_id in listed])
        return [one for one, reply in zip(listed, replies, strict=True) if wanted.may_be(reply)]

    def _head(self, session_id: str) -> str:
        return self._keyspace.session(session_id).head

    def _events(self, session_id: str) -> str:
        return self._keyspace.session(session_id).events

    def _asked(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        return self._store.pipeline(commands, is_lenient=True) if commands else ()

    def _read(self, line: DirectoryLine, session_id: str, reply: Any) -> tuple[SessionInfo, list[EventId]] | None:
        """What a head says, and where the session was annotated; None of what is none, or was deleted meanwhile."""
        key = self._head(session_id)
        try:
            head = _fields(key, reply)
            return _info(key, line, session_id, self._uncut(session_id, head)) if head else None
        except CorruptKeyError as error:
            logger.warning("session_id=<%s>, error=<%s> | session not listed", session_id, error)
            return None

    def _uncut(self, session_id: str, head: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """A head with all lines: where it had no room for some, the events tell them, if they can be read."""
        if not head.get(b"open", b"").startswith(CUT):
            return head
        with suppress(CorruptEntryError, EncryptionError):
            summary, _ = sum_up(self._pages, session_id, self._cipher, has_room=True)
            if summary.is_exact:
                return {**head, b"open": summary.fields()["open"].encode()}
        return head

    def _labelled(self, found: Sequence[tuple[SessionInfo, list[EventId]]]) -> Iterator[SessionInfo]:
        asked = [(self._events(info.session_id), id_) for info, ids in found for id_ in ids]
        replies = iter(self._asked([("XRANGE", key, str(id_), str(id_)) for key, id_ in asked]))
        for info, ids in found:
            entries = (entry for reply in islice(replies, len(ids)) for entry in _entries(reply))
            events = [self._read_or_none(info.session_id, entry) for entry in entries]
            yield replace(info, labels=_labels(events)) if ids else info

    def _with_last_messages(self, infos: Sequence[SessionInfo]) -> Iterator[SessionInfo]:
        """What was said last, mostly among a few events; where it is further back, it is looked for there."""
        found = list(self._last_messages(infos, _LAST_EVENTS))
        missed = [info for info, last in zip(infos, found, strict=True) if last is None and info.messages]
        more = iter(list(self._last_messages(missed, _MORE_LAST_EVENTS)))
        for info, last in zip(infos, found, strict=True):
            yield replace(info, last_message=next(more) if last is None and info.messages else last)

    def _last_messages(self, infos: Sequence[SessionInfo], most: int) -> Iterator[Recorded | None]:
        commands = [("XREVRANGE", self._events(one.session_id), "+", "-", "COUNT", most) for one in infos]
        for info, reply in zip(infos, self._asked(commands), strict=True):
            found = (self._message(info.session_id, entry) for entry in _entries(reply))
            yield next((one for one in found if one is not None), None)

    def _message(self, session_id: str, entry: _Entry) -> Recorded | None:
        # Most of what stands there is none, and large.
        if not entry[1] or not entry[1].get(b"type", b"").startswith(b"message."):
            return None
        return self._read_or_none(session_id, entry)

    def _read_or_none(self, session_id: str, entry: _Entry) -> Recorded | None:
        """The event of an entry, sealed where its key is not at hand; None where it cannot be read."""
        raw = entry[0], list(chain.from_iterable(entry[1].items()))
        try:
            (opened,) = self._cipher.opened(session_id, [raw], is_strict=False)
            found = recorded(opened)
        except CorruptEntryError:
            return None
        return found if isinstance(found.event.data, Mapping) else None


def _fields(key: str, reply: Any) -> dict[bytes, bytes]:
    if isinstance(reply, ServerRefusedError):
        raise CorruptKeyError(key, "it is no hash", "delete the session")
    return dict(pairs(reply))


def _info(
    key: str, line: DirectoryLine, session_id: str, head: Mapping[bytes, bytes]
) -> tuple[SessionInfo, list[EventId]]:
    revision, created, _ = (parsed(key, name, head.get(name.encode()), whole) for name in ("revision", "created", "ms"))
    summary = Summary.parse(head.get(b"counts", b""), head[b"open"]) if b"open" in head else None
    lines = summary.lines if summary else []
    errors, sent, got = (summary.errors, summary.input_tokens, summary.output_tokens) if summary else (None, None, None)
    ttl = timedelta(milliseconds=ms) if (ms := min(number(head.get(b"ttl")), MAX_MS)) else None
    began, last = EventId(created, 0).time, EventId(line.ms, 0).time
    annotated = [one.id for one in lines if one.kind == ANNOTATED and not one.agent]
    agents, held = tuple(_activities(head, lines)), b"held" in head
    info = SessionInfo(session_id, revision, began, last, agents, errors, sent, got, held=held, ttl=ttl)
    return info, annotated


def _activities(head: Mapping[bytes, bytes], lines: Iterable[OpenLine]) -> Iterator[AgentActivity]:
    """Of each agent, in the order of their ids, what says most of it."""
    messages, moved, of_agent = dict[str, int](), dict[str, EventId](), dict[str, list[OpenLine]]()
    for line in lines:
        if line.agent:
            of_agent.setdefault(line.agent, []).append(line)
    for raw, value in head.items():
        if not (found := _OF_AGENT.fullmatch(raw.decode(errors="replace"))):
            continue
        agent, what = found.groups()
        if what == "messages":
            spans = _SPAN.findall(value.decode(errors="replace"))
            messages[agent] = sum(int(last) - int(first) + 1 for first, last in spans)
        elif (id_ := _id_or_none(value)) and id_ > moved.get(agent, EventId(0, 0)):
            moved[agent] = id_
    for agent in sorted({*messages, *moved, *of_agent}):
        status, telling = _status(of_agent.get(agent, ()))
        since, name = (telling.id, telling.name) if telling else (None, "")
        yield AgentActivity(agent, status, since, name, messages.get(agent, 0), moved.get(agent))


def _status(lines: Sequence[OpenLine]) -> tuple[ActivityStatus, OpenLine | None]:
    for kind, status in _STATUSES:
        for line in lines:
            if line.kind == kind:
                return status, line
    return "idle", None


def _labels(events: Iterable[Recorded | None]) -> Mapping[str, Any]:
    """As `SessionState.labels` has them; what was erased, or cannot be read, says nothing."""
    labels: dict[str, Any] = {}
    for found in events:
        if found and found.event.type == SessionAnnotated.TYPE and not found.event.is_erased:
            labels |= SessionAnnotated(found.event.data).labels
    return {name: value for name, value in labels.items() if value is not None}


def _entries(reply: Any) -> Sequence[_Entry]:
    return () if isinstance(reply, ServerRefusedError) or reply is None else reply


def _id_or_none(value: bytes) -> EventId | None:
    ms, _, revision = value.partition(b"-")
    return EventId(int(ms), int(revision)) if ms.isdigit() and revision.isdigit() else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
