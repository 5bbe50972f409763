"""Sessions that lie in the past: written now, dated by a clock that the test moves.

No test can wait 30 days for a retention policy, and the server's clock is its own. So sessions are written beside the
log, as ever, and then brought into it with other times: chained anew, since a link covers when the one before it was.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from itertools import chain as chained
from typing import TYPE_CHECKING
from uuid import uuid4

from .. import chain
from ..codec import FIELDS, RawEntry, id_of
from ..errors import (
    InvalidSettingError,
    NotCopied,
    SessionExistsError,
    SessionNotFoundError,
    check_log,
    refuse_unknown,
)
from ..event_log.chained_batch import Position
from ..event_log.restorer import Restoration
from ..events import SessionForked
from ..ids import EventId
from ..session_log.durations import duration_of
from .emptying import empty

if TYPE_CHECKING:
    from ..session_log import SessionLog

_EVENT_ID = re.compile(rb"\b[0-9]{13}-[0-9]{1,16}\b")
"""As it stands in the data of events that name others."""
_MS = timedelta(milliseconds=1)
_EPOCH = datetime.fromtimestamp(0, timezone.utc)


class Clock(NotCopied):
    """Dates what a test writes, from some time ago until now.

    ```python
    clock = Clock(log, ago="90d")
    with clock.writing() as past:
        agent = Agent(model, session_manager=ValkeySessionManager("s-42", log=past))
        agent("What should I pack?")
        clock.advance("2h")
        agent("And for the evening?")
    ```

    When the block ends, its sessions are in the log as if they had been written at these times: directory, `state` at a
    time, retention and `verify` see them so, and agents resume from them. They come as imported ones do: the feed tells
    of each that it is there, and a subscriber that begins at the `beginning` reads its events.

    Args:
        log: Where the sessions are to be.
        ago: How long ago it begins, also as text: `90d`, `12h`.

    Raises:
        InvalidSettingError: When that is no duration, is longer ago than 1970, or the log encrypts: what is written
            beside it is in the clear.
    """

    _INSTEAD = "make another one of the same log"

    @refuse_unknown
    def __init__(self, log: SessionLog, ago: timedelta | str = "30d") -> None:
        check_log(log)
        if log._events.cipher.is_active:
            raise InvalidSettingError("log", log, "give one without encryption")
        duration = duration_of("ago", ago)
        if duration >= datetime.now(timezone.utc) - _EPOCH:
            raise InvalidSettingError("ago", ago, "let it begin after 1970: no event has an id from before")
        self._log, self._offset = log, -duration

    @property
    def now(self) -> datetime:
        """What it says: it runs as every clock does, and is moved by `advance`."""
        return datetime.now(timezone.utc) + self._offset

    def advance(self, by: timedelta | str) -> datetime:
        """Let time pass.

        Args:
            by: How much, also as text: `2h`, `30m`.

        Returns:
            What it says now.

        Raises:
            InvalidSettingError: When that is no duration, or leads beyond the time that it really is.
        """
        offset = self._offset + duration_of("by", by)
        if offset > timedelta(0):
            raise InvalidSettingError("by", by, f"it really is only {-self._offset} later: let the clock begin earlier")
        self._offset = offset
        return self.now

    @contextmanager
    def writing(self) -> Iterator[SessionLog]:
        """A log for what is to lie in the past; its sessions are brought over when the block ends without an error.

        Forks cannot be written so, and what is no event, such as a time to live, is not brought over: do both in the
        log itself.

        Raises:
            SessionExistsError: When the log has a session of the same id.
            InvalidSettingError: When a session is a fork.
        """
        from ..session_log import SessionLog

        dated: dict[str, list[tuple[int, int]]] = defaultdict(list)
        namespace = f"{self._log.namespace}-past-{uuid4().hex[:8]}"
        past = SessionLog(
            self._log.client, namespace, partitions=self._log.partitions, snapshots=None, allow_eviction=True
        )
        past._events.on_append.append(lambda name, revision, _: dated[name].append((revision, self._offset // _MS)))
        try:
            yield past
            pages = past._events.pages
            # All of them, before any is in the log.
            moved = {name: list(_moved(name, pages(name), dated[name])) for name in past.session_ids()}
            self._check_new(moved)
            for name, entries in moved.items():
                self._bring_over(name, entries)
        finally:
            empty(past)
            past.close()

    def _check_new(self, session_ids: Iterable[str]) -> None:
        for session_id in session_ids:
            with suppress(SessionNotFoundError):
                self._log.head(session_id)
                raise SessionExistsError(session_id)

    def _bring_over(self, session_id: str, entries: Sequence[RawEntry]) -> None:
        last_id, last = entries[-1]
        wanted = Restoration(
            session_id=session_id,
            position=Position(id_of(last_id), last[_LINK].decode()),
            first=entries[0][1][_LINK].decode(),
            root=session_id,
            parent="",
            ancestors=(),
            at=None,
            lives=(),
        )
        self._log._events.restorer.restore(wanted, lambda: entries, lambda lives: None, lambda done, total: None)


_LINK = 2 * FIELDS.index(b"link") + 1


def _moved(
    session_id: str, pages: Iterator[Sequence[RawEntry]], dated: Sequence[tuple[int, int]]
) -> Iterator[RawEntry]:
    """The entries of a session at other times, each as many milliseconds off as when it was written."""
    link, ids = chain.genesis(session_id), dict[bytes, bytes]()
    for entry_id, flat in chained.from_iterable(pages):
        was = id_of(entry_id)
        off = _offset_of(was, dated)
        type_, agent, event, time, version, trace, base, kept, salt, _, body = flat[1::2]
        if type_ == SessionForked.TYPE.encode():
            raise InvalidSettingError("session", session_id, "a fork cannot lie in the past: fork it in the log itself")
        ids[entry_id] = new_id = b"%d-%d" % (was.ms + off, was.revision)
        kept, body = (_EVENT_ID.sub(lambda found: ids.get(found[0], found[0]), text) for text in (kept, body))
        clear = (type_, agent, event, _later(time, off), version, trace, kept)
        new_base = ids.get(base, base)
        commitment = chain.commitment(chain.from_text(salt), body) if salt else chain.from_text(body)
        link = chain.link(link, new_base, was.revision, clear, commitment)
        values = (*clear[:6], new_base, kept, salt, chain.to_text(link), body)
        yield new_id, [part for pair in zip(FIELDS, values, strict=True) for part in pair]


def _offset_of(event: EventId, dated: Sequence[tuple[int, int]]) -> int:
    """What the clock was off by when an event was written; what no append told of came after all that were told."""
    at = bisect_left(dated, (event.revision,))
    return dated[min(at, len(dated) - 1)][1] if dated else 0


def _later(time: bytes, ms: int) -> bytes:
    """The writer's time; one that is none stays what it is."""
    try:
        return (datetime.fromisoformat(time.decode()) + ms * _MS).isoformat().encode()
    except ValueError:
        return time
