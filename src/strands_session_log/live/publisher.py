"""What the agents of a session say, published a little at a time; it never holds up the agent."""

from __future__ import annotations

import atexit
import logging
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition
from typing import Any, NamedTuple
from weakref import WeakSet

from ..codec.delta import DISCARDED, END, INPUT, LIVE_MS, REASONING, TEXT, Delta, Line, delta
from ..encryption import sealed_piece, without_text
from ..errors import CorruptEntryError
from ..errors.quoting import described
from ..event_log import EventLog
from ..event_log.reader import fetch
from ..scripts.live import LiveReply, call, reply_of
from ..server import Call
from .sender import Sending, sender_for

logger = logging.getLogger(__name__)

_MOST_CHARACTERS = 1_000_000
_LEAST = 16
"""Characters that a piece counts for beside its text."""
_STAYING = 10_000
"""How many pieces stay in the stream, about."""
_PAUSE = 1.0
"""For how many seconds a server that did not answer is left alone; what is said meanwhile waits, or is lost."""
_AT_EXIT = 1.0
"""For how many seconds the end of the process waits for the next batch: watchers should hear that a message ended."""
_JOINED = (TEXT, REASONING, INPUT)
_REMEMBERED, _PAGE, _LOOKS = 1_000, 100, 10
_EXACT = 0.001
"""Seconds: what a deletion's time is rounded to."""


@dataclass(frozen=True, slots=True)
class LiveStats:
    """What became of what was heard.

    Attributes:
        published: How many pieces stand in the live stream, or stood there; several that follow each other are one.
        waiting: How many wait to be published.
        dropped: How many were given up: the server was away, slow, or had no such session.
        last_error: Why, of the last time; empty while all is well.
    """

    published: int
    waiting: int
    dropped: int
    last_error: str


class _Piece:
    """A piece that grows as long as it is not published."""

    __slots__ = ("_texts", "line")

    def __init__(self, line: Line) -> None:
        self.line, self._texts = line, [line.text]

    def takes(self, line: Line) -> bool:
        """Add another one, if it follows in the same block."""
        ours = self.line
        fits = line.kind in _JOINED and (line.message, line.block, line.kind) == (ours.message, ours.block, ours.kind)
        if fits:
            self._texts.append(line.text)
        return fits

    @property
    def whole(self) -> Line:
        """With all that was added."""
        return self.line._replace(text="".join(self._texts))


class _Batch(NamedTuple):
    """What is published at a time.

    Attributes:
        lines: Pieces, numbered.
        forgets: Whether what was published before is to be taken back.
        agents: Of whom what was left open is to be discarded.
    """

    lines: Sequence[Line]
    forgets: bool
    agents: Sequence[str]


@dataclass(slots=True)
class _Progress:
    """How far a message has come.

    Attributes:
        number: Of its last piece.
        since: Where the session stood when it began; None as long as nothing of it was published.
        is_whole: Whether all of it was heard, or nothing of it counts any more.
        is_erased: Whether it may have been: then only that it ended is of interest.
        life: Which session that was.
        heard_at: When the first of it was heard, on the monotonic clock.
    """

    number: int = 0
    since: int | None = None
    is_whole: bool = False
    is_erased: bool = False
    life: str = ""
    heard_at: float = field(default_factory=time.monotonic)

    def void(self) -> None:
        """Nothing of it is published any more, whatever else is heard."""
        self.since, self.is_whole = None, True

    def stands_at(self, line: Line) -> int | None:
        """What a piece of it that may be published has as revision; None if it may not be."""
        return None if self.is_erased and line.kind not in (END, DISCARDED) else self.since


class _Known(NamedTuple):
    """What the server last said of the session.

    Attributes:
        life: Which one it is; empty as long as it was not asked.
        erased: Stands for what of it was erased.
    """

    life: str = ""
    erased: str = ""


class _Look(NamedTuple):
    """What the server says of the session.

    Attributes:
        revision: Where it stands.
        known: What is remembered of it.
        deleted_at: When the last session of this id was deleted, at the latest, on the monotonic clock; 0 if none was.
    """

    revision: int
    known: _Known
    deleted_at: float

    @classmethod
    def of(cls, reply: LiveReply, answered: float) -> _Look:
        """What it comes to, given when it came."""
        ago = reply.deleted_ago
        return cls(reply.revision, _Known(reply.life, reply.erased), 0.0 if ago is None else answered - ago + _EXACT)


class Publisher:
    """Publishes the pieces of one session in batches.

    What waits must not outlive its session, or an erasure: so the script publishes only where nothing was deleted or
    erased since the publisher looked, and what belongs to a session that is gone, or may be of a message that is, is
    given up.

    Args:
        log: Where to; one attempt is made.
        session_id: The session.
        interval: Seconds between batches. The first of a message waits so long, too: one that is whole then is not.
    """

    def __init__(self, log: EventLog, session_id: str, interval: float) -> None:
        self.store, self._cipher = log.store.with_retry_for(0), log.cipher
        self._session_id, self._interval = session_id, interval
        self._keys = log.keyspace.session(session_id)
        self._published, self._dropped, self._last_error = 0, 0, ""
        self._sent_at = self._not_before = 0.0
        self._reset()
        _open.add(self)

    def _reset(self) -> None:
        self._sender, self._changed = sender_for(self.store, self._keys.live), Condition()
        self._pieces: list[_Piece] = []
        self.characters = 0
        self._forgets = self._is_busy = False
        self._agents: list[str] = []
        self._messages: dict[str, _Progress] = {}
        self._known = _Known()

    @property
    def stats(self) -> LiveStats:
        """See `LiveStats`."""
        return LiveStats(self._published, len(self._pieces), self._dropped, self._last_error)

    def publish(self, line: Line) -> None:
        """Take a piece, or give it up where too much waits."""
        with self._own_lock():
            progress = self._messages.setdefault(line.message, _Progress())
            progress.is_whole = progress.is_whole or line.kind in (END, DISCARDED)
            if self.characters + len(line.text) > _MOST_CHARACTERS:
                return self._lose([line])
            self.characters += len(line.text) + _LEAST
            if not (self._pieces and self._pieces[-1].takes(line)):
                self._pieces.append(_Piece(line))
            return self._start()

    def forget(self) -> None:
        """Take back what was published, and what waits to be; tried until it is done."""
        with self._own_lock():
            self._lose(piece.line for piece in self._pieces)
            self._pieces, self.characters, self._forgets = [], 0, True
            self._start()

    def discard_left_open(self, agent: str) -> None:
        """Say that what others heard an agent say, perhaps in a process that was killed, will not be a message."""
        with self._own_lock():
            self._agents.append(agent)
            self._start()

    def flush(self, timeout: float) -> bool:
        """Wait until nothing waits; returns whether that is so."""
        with self._own_lock():
            return self._changed.wait_for(lambda: not (self._has_work or self._is_busy), timeout)

    @property
    def _has_work(self) -> bool:
        return bool(self._pieces or self._forgets or self._agents)

    def _own_lock(self) -> Condition:
        """Not that of the process this one was forked from, which its thread may have held."""
        if self._sender.is_elsewhere:
            self._reset()
        return self._changed

    def _start(self) -> None:
        """Have what waits sent in its time; if something is on its way, look again when that is over."""
        if self._is_busy:
            return
        are_begun = all(self._messages[piece.line.message].since is not None for piece in self._pieces)
        at = (self._sent_at if are_begun else time.monotonic()) + self._interval
        try:
            self._sender.schedule(self, max(at, self._not_before))
        except RuntimeError as error:
            # No more threads, or the interpreter ends: the agent must not hear of it.
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Count what could not even be heard."""
        self._dropped += 1
        self._last_error = f"{type(error).__name__}: {error}"

    def sending(self) -> Sending:
        """See `LiveSource.sending`."""
        batch, self._sent_at = self._take(), time.monotonic()
        try:
            yield from self._publishing(batch)
        except Exception as error:
            self._give_up(batch, error)
        finally:
            with self._changed:
                self._is_busy = False
                if self._has_work:
                    self._start()
                self._changed.notify_all()

    def _take(self) -> _Batch:
        """What is to be published now. A message that was whole before anybody heard of it is read in the log."""
        with self._changed:
            pieces, forgets, agents = self._pieces, self._forgets, self._agents
            self._pieces, self.characters, self._forgets, self._agents, self._is_busy = [], 0, False, [], True
            for message in list(self._messages)[:-_REMEMBERED]:
                del self._messages[message]
            lines = [piece.whole for piece in pieces if self._is_of_interest(piece.line.message)]
            return _Batch([self._numbered(line) for line in lines], forgets, agents)

    def _is_of_interest(self, message: str) -> bool:
        progress = self._messages.setdefault(message, _Progress())
        return progress.since is not None or not progress.is_whole

    def _numbered(self, line: Line) -> Line:
        progress = self._messages[line.message]
        progress.number += 1
        return line._replace(sequence=progress.number)

    def _publishing(self, batch: _Batch) -> Sending:
        ends = self._ends(batch.agents)
        for _ in range(_LOOKS):
            said = [*ends, *(yield from self._placed(batch.lines))]
            if not (said or batch.forgets):
                return
            known = self._known
            look = yield from self._telling(said, batch.forgets)
            if look.known == known or not known.life:
                self._published += len(said)
                self._last_error = ""
                return
        raise _Unsettled("something of the session was erased each time")

    def _placed(self, lines: Sequence[Line]) -> Generator[Call, Any, list[tuple[Line, int]]]:
        """Each with where the session stood when its message began.

        The session is asked before the first piece is published. The answer counts if the message was not whole by
        then, and so not in the log; one that was is read there. What was heard before a deletion is no part of the
        session that followed.
        """
        begun = {line.message for line in lines if self._messages[line.message].since is None}
        if begun:
            look = yield from self._telling([], False)
            with self._changed:
                for progress in (self._messages[message] for message in begun):
                    progress.life, progress.since = look.known.life, look.revision
                    if progress.is_whole or progress.heard_at < look.deleted_at:
                        progress.void()
        placed = ((line, self._messages[line.message].stands_at(line)) for line in lines)
        return [(line, since) for line, since in placed if since is not None]

    def _telling(self, said: Iterable[tuple[Line, int]], forgets: bool) -> Generator[Call, Any, _Look]:
        """Publish, unless the session is not as it is known to be."""
        pieces = ((*sealed_piece(self._cipher, self._session_id, line), since) for line, since in said)
        of, known, stay = (self.store.keyspace, self._session_id), self._known, (LIVE_MS, _STAYING)
        answer = yield call(*of, pieces, known=known, stay=stay, forgets=forgets, is_encrypted=self._cipher.is_active)
        reply = reply_of(self._session_id, answer)
        if reply is None:
            raise _NoSession("there is no such session yet, or any more")
        look = _Look.of(reply, time.monotonic())
        self._take_note(look.known)
        return look

    def _take_note(self, known: _Known) -> None:
        """Of a session that was begun anew, and of an erasure: it may have been of any message that was whole."""
        before, self._known = self._known, known
        if known != before and before.life:
            with self._changed:
                for progress in self._messages.values():
                    progress.is_erased = progress.is_erased or progress.is_whole
                    if progress.life not in ("", known.life):
                        progress.void()

    def _ends(self, agents: Iterable[str]) -> list[tuple[Line, int]]:
        """The ends of what agents said last and others left open, as far as that can be learned."""
        try:
            return [end for agent in dict.fromkeys(agents) for end in self._left_open(agent)]
        except Exception as error:
            self.fail(error)
            return []

    def _left_open(self, agent: str) -> Iterator[tuple[Line, int]]:
        """Where it became a message, the end of it does not matter."""
        last = next((piece for piece in self._newest_first() if piece.line.agent == agent), None)
        if last is not None and last.line.kind != DISCARDED and last.line.message not in self._messages:
            end = last.line._replace(kind=DISCARDED, sequence=last.line.sequence + 1, tool_use_id="", text="")
            yield end, last.revision

    def _newest_first(self) -> Iterator[Delta]:
        end = "+"
        while page := fetch(self.store, self._keys.live, end, "-", _PAGE, b"XREVRANGE"):
            for entry in page:
                # Nothing is promised of pieces that others wrote.
                with suppress(CorruptEntryError):
                    yield delta(*without_text(entry))
            end = f"({page[-1][0].decode()}"

    def _give_up(self, batch: _Batch, error: Exception) -> None:
        if not self._last_error:
            logger.warning(
                "live=<%s>, error=<%s> | what agents say is not published", self._keys.live, described(error)
            )
        self._last_error = f"{type(error).__name__}: {error}"
        with self._changed:
            self._dropped += len(batch.lines)
            self._forgets = self._forgets or (batch.forgets and not isinstance(error, _NoSession))
        if not isinstance(error, _NoSession):
            self._not_before = time.monotonic() + _PAUSE

    def _lose(self, lines: Iterable[Line]) -> None:
        """A number that is missing tells that something is."""
        for line in lines:
            self._dropped += 1
            self._messages.setdefault(line.message, _Progress()).number += 1


class _NoSession(LookupError):
    """Nothing is published of a session that is not there: it has been deleted, or has yet to begin."""


class _Unsettled(RuntimeError):
    """The session is another one, or has lost something, each time that something is to be published."""


_open: WeakSet[Publisher] = WeakSet()


@atexit.register
def _publish_what_waits() -> None:
    """For as long as batches are published; what is left is no part of the log."""
    before = -1
    while before < (published := sum(publisher.stats.published for publisher in list(_open))):
        before, until = published, time.monotonic() + _AT_EXIT
        if all(publisher.flush(max(0.0, until - time.monotonic())) for publisher in list(_open)):
            return
