"""What a session's head says beside where it stands, held against the events: nobody's link covers it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import orjson

from ..codec import Entry, text_of
from ..errors import CorruptKeyError
from ..event_log import Tombstone
from ..event_log.chained_batch import Position
from ..event_log.diagnosis import position_of
from ..events import MessageAdded, SessionAnnotated
from ..events.event import moved_by
from ..ids import START, EventId, milliseconds
from ..scripts.session import Scores
from ..state import GrowingRanges, Holds
from ..state.summary import LOOKS_AT, Summary
from .lineage import Descent, Lineage, notes_in, retained_of
from .witness import SLACK_MS

NO_DIRECTORY = "none"
_LONG = 120
_TTL = re.compile(r"[1-9][0-9]{0,13}")


class SessionStanding(NamedTuple):
    """A head and what stands in the directory, as of one moment.

    Attributes:
        head: Its fields; empty when there is none.
        scores: Where the partition lists it.
        problem: Why the head cannot be read, if it cannot.
    """

    head: Mapping[bytes, bytes]
    scores: Scores
    problem: str = ""

    @property
    def position(self) -> Position | str | None:
        """Where the session stands; what is wrong with it, if it cannot be read; None without a head."""
        if self.problem or not self.head:
            return self.problem or None
        values = [self.head.get(name) for name in (b"revision", b"link", b"ms")]
        try:
            position = position_of("head", values)
        except CorruptKeyError as error:
            return f"the session's head cannot be read: {error.reason}"
        if position and [values[0], values[2]] != [b"%d" % position.id.revision, b"%d" % position.id.ms]:
            return f"the session's head has other spellings of numbers: {values[0]!r} and {values[2]!r}"
        return position

    @property
    def descent(self) -> Descent:
        """Where the session comes from, as the head says."""
        return Descent.of(self.head)

    def text(self, name: str) -> str:
        """A field; empty when there is none."""
        return self.head.get(name.encode(), b"").decode(errors="backslashreplace")


class HeadFacts:
    """What the events of a session, added one by one, let its head say.

    Args:
        first: The head before the first event was read; forks it names must be made of events there are.
    """

    def __init__(self, first: SessionStanding) -> None:
        self.created, self._moved, self._messages = START, dict[str, EventId](), dict[str, GrowingRanges]()
        self._erased, self._is_whole = GrowingRanges(), True
        self._summary, self._holds, self._subjects = Summary(), Holds(), set[str]()
        forks, self._no_forks = notes_in(first.text("forks"))
        self._forked_at: dict[str, str] = {str(fork.at): fork.session_id for fork in forks if fork.is_own}

    def add(self, entry: Entry) -> None:
        """One more event."""
        type_, agent = entry.header[:2]
        self.created = self.created if self.created != START else entry.id
        kept = retained_of(entry)
        if moves := moved_by(type_, kept):
            self._moved[f"{moves}:{agent}:moved"] = entry.id
        if type_ == MessageAdded.TYPE and type(index := kept.get("message_id")) is int:
            self._messages.setdefault(agent, GrowingRanges()).add(index, index)
        if entry.is_erased:
            self._erased.add(entry.id.revision, entry.id.revision)
        if type_ in Holds.READS:
            self._holds.add(entry.id, type_, kept)
        if type_ in LOOKS_AT:
            self._sum_up(entry, type_, agent)
        if self._forked_at:
            self._forked_at.pop(str(entry.id), None)

    def _sum_up(self, entry: Entry, type_: str, agent: str) -> None:
        data = None
        if not entry.is_erased:
            with suppress(ValueError):
                data = orjson.loads(text_of(entry.body))
        if type_ == SessionAnnotated.TYPE and isinstance(data, dict):
            self._subjects.update(SessionAnnotated(data).subject_marks)
        self._summary.add(entry.id, type_, agent, data, data is None)

    def miss(self) -> None:
        """An event could not be read: what it lets the head say is not known."""
        self._is_whole = False

    def erase(self, id_: EventId) -> None:
        """The content of an event was erased after it was added."""
        self._erased.add(id_.revision, id_.revision)

    def problems(self, standing: SessionStanding, lineage: Lineage) -> Iterator[str]:
        """What is wrong with the head of a session that ends with the event added last."""
        wanted = {"created": str(self.created.ms)}
        if self._is_whole:
            wanted |= {"erased": str(self._erased), "held": str(self._holds)}
            wanted |= {f"agent:{agent}:messages": str(ranges) for agent, ranges in self._messages.items()}
            wanted |= {field: str(moved) for field, moved in self._moved.items()}
        for name, value in wanted.items():
            # A graph or swarm had no fence before: then its head says nothing of it.
            if (found := standing.text(name)) != value and (found or not name.startswith("multi_agent:")):
                yield f"the session's head says {name} {_short(found)}, its events {_short(value)}"
        if self._is_whole:
            yield from self._surplus(standing, wanted)
        if problem := lineage.head_problem(standing.descent):
            yield problem
        yield from self._fork_problems()
        if not self._subjects <= set(standing.text("subjects").split()):
            yield "the session's head does not say of all whom it is about; see `session-log subject reindex`"

    def _surplus(self, standing: SessionStanding, wanted: Mapping[str, str]) -> Iterator[str]:
        for raw in filter(_is_of_agent, standing.head):
            if (field := raw.decode(errors="backslashreplace")) not in wanted:
                yield f"the session's head says {_short(field)} {_short(standing.text(field))}, its events nothing"

    def notes(self, standing: SessionStanding) -> Iterator[str]:
        """What the head sums up otherwise than its events say, or not at all: it is for those who list sessions."""
        counts, lines = standing.head.get(b"counts"), standing.head.get(b"open")
        if counts is None or lines is None:
            yield "the session's head does not sum up what happened: it began before that was done, see `recount`"
        elif self._is_whole and (problem := self._summary.problem(counts, lines)):
            yield f"the session's head sums up {problem}; see `recount`"

    def _fork_problems(self) -> Iterator[str]:
        for line in self._no_forks:
            yield f"the session's head names a fork in words that are none: {_short(line)}"
        for at, session_id in self._forked_at.items():
            yield f"the session's head says that {session_id!r} was forked at event {at}, which there is not"


def life_problems(
    standing: SessionStanding,
    created: EventId,
    lives: Sequence[Tombstone],
    deleted: tuple[int, int, str] | None,
    may_be_dropped: bool,
) -> Iterator[str]:
    """What is wrong with what the head says of the session that had its id before.

    Args:
        standing: The head.
        created: The first event that is its own.
        lives: The tombstones of the id, oldest first.
        deleted: The last deletion of the id that the feed tells of: when, its revision and link.
        may_be_dropped: Whether there were so many tombstones that older ones may be gone.
    """
    said, of_life = standing.text("predecessor"), {_predecessor(life): life for life in lives}
    before = [life for life in lives if milliseconds(life.deleted_at) <= created.ms]
    if said and said not in of_life and (lives or not may_be_dropped):
        yield f"the session's head says that the id was used before ({_short(said)}), no tombstone does"
    if not said and before:
        at = before[-1].deleted_at
        yield f"a tombstone says that the id was used before, and deleted at {at:%Y-%m-%d %H:%M:%S}, the head does not"
    if deleted is None:
        return
    ms, revision, link = deleted
    if said != f"{ms} {revision} {link}":
        yield f"the feed tells that the session was deleted at revision {revision}, its head does not"
    elif created.ms + SLACK_MS < ms:
        yield f"the feed tells that the session was deleted after event {created}, with which it begins"


def directory_problem(standing: SessionStanding, last: EventId) -> str:
    """What is wrong with the session's line in the directory."""
    score = standing.scores.listed
    if score == NO_DIRECTORY:
        return ""
    if not score:
        return "the session is not listed in the directory"
    return "" if _whole(score) == last.ms else f"the directory says that the session was last active at {score} ms"


def retention_problems(standing: SessionStanding) -> Iterator[str]:
    """What is wrong with what the partition says of how long the session stays, as its head has it."""
    held, ttl, (_, due, listed) = standing.text("held"), standing.text("ttl"), standing.scores
    if (
        held
        and listed not in (NO_DIRECTORY, held.partition("-")[0])
        and _whole(listed) != _whole(held.partition("-")[0])
    ):
        yield "the session is held, but not listed among those that are since then"
    elif listed not in ("", NO_DIRECTORY) and not held:
        yield "the session is listed among those that are held, but its head does not say so"
    if ttl and not _TTL.fullmatch(ttl):
        yield f"the session's head says ttl {_short(ttl)}, which is no time"
    elif due not in ("", NO_DIRECTORY) and (held or not ttl):
        yield f"the session is to be deleted at {due} ms, {'though it is held' if held else 'but has no time to live'}"
    elif ttl and not held and not due:
        yield "the session has a time to live, but is not listed among those that are to be deleted"
    elif ttl and due not in ("", NO_DIRECTORY) and (_whole(due) or 0) > int(standing.text("ms") or 0) + int(ttl):
        yield f"the session is to be deleted at {due} ms, later than its time to live says"


def _whole(score: str) -> int | None:
    try:
        return int(float(score))
    except (ValueError, OverflowError):
        return None


def _predecessor(life: Tombstone) -> str:
    return f"{milliseconds(life.deleted_at)} {life.revision} {life.link}"


def _is_of_agent(name: bytes) -> bool:
    return name.startswith((b"agent:", b"multi_agent:")) and name.endswith((b":messages", b":moved"))


def _short(text: str) -> str:
    return repr(text if len(text) <= _LONG else f"{text[:_LONG]}…")
