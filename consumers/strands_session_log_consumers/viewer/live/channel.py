"""One session as it goes on: read once, however many watch it.

Nobody has a queue here. What came last is kept; each watcher knows how far they have it, and takes what came since. Who
is slow takes more at once, and who has fallen behind what is kept loads the page anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from strands_session_log import START, EventId, Recorded, SessionInfo, SessionLog
from strands_session_log.errors import LogForkedError, SessionLogError, SessionNotFoundError

from ..conversation.index import IndexBlock, Jump, TurnStart
from ..conversation.notes import Item
from ..conversation.reading import OpenConversations
from ..conversation.salvage import SalvagedEvents
from ..conversation.talk import STRETCH, OngoingTalk
from .words import Words

logger = logging.getLogger(__name__)

KEPT: Final = 1_024
"""How many events are kept for those who come back."""
_CONTEXT: Final = 2 * STRETCH
"""With how many events before the newest it begins: a result is shown with its call."""
_MOST_ITEMS: Final = 4_096
_TICK: Final = 0.05
"""Seconds for which what comes is gathered before those who watch are told."""
_AGAIN: Final = 2.0
Work = Callable[[Callable[[], Any]], Awaitable[Any]]
Wakeup = asyncio.Event
Row = tuple[int, int, str, int, int]
"""Milliseconds since the epoch, duration, lane, kind and flags."""


class Happened(NamedTuple):
    """One event, and what it means to a page that has all before it.

    Attributes:
        recorded: The event.
        items: What is new in the conversation, or other than before.
        row: What a timeline shows of it.
        is_known: Whether that is all; else the page is to be loaded anew.
    """

    recorded: Recorded
    items: Sequence[Item]
    row: Row
    is_known: bool = True


@dataclass(frozen=True)
class Batch:
    """What came after a revision.

    Attributes:
        after: That revision.
        head: The last event that came.
        link: Its link.
        items: What is new in the conversation, or other than before.
        rows: Of each event what a timeline shows.
        turns: Where agents were called.
        jumps: Where it was rewound.
        rendered: What was made of it, by the address of the viewer that made it.
    """

    after: int
    head: EventId
    link: str
    items: Sequence[Item]
    rows: Sequence[Row]
    turns: Sequence[TurnStart]
    jumps: Sequence[Jump]
    rendered: dict[str, asyncio.Future[str]] = field(default_factory=dict, repr=False)


class SessionChannel:
    """What happens in one session.

    Args:
        log: The log.
        session_id: The session.
        conversations: What pages have read of sessions, which forget what was erased.
        work: Runs what waits for the server off the event loop.

    Attributes:
        head: The last event that came.
        epoch: Another one as soon as what was sent before does not hold any more.
        words: What is being said.
        is_ready: Whether it is known where the session stands.
        info: What is known of the session; None until it was asked.
        behind: How many events the log had a while ago which have not come yet.
        trouble: Why nothing comes any more; empty while that is not so.
    """

    def __init__(self, log: SessionLog, session_id: str, conversations: OpenConversations, work: Work) -> None:
        self._log, self.session_id, self._conversations, self._work = log, session_id, conversations, work
        self.head, self.epoch, self.trouble = START, 0, ""
        self.words, self.is_ready = Words(), False
        self.info: SessionInfo | None = None
        self._kept, self._growing, self._noted = deque[Happened](maxlen=KEPT), OngoingTalk(), IndexBlock(0)
        self._wakeups, self._batches = set[Wakeup](), dict[int, Batch]()
        self._waking: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self.behind, self._known = 0, 0
        self.loop = asyncio.get_running_loop()
        parts = (self._follow_events, self._follow_words, self._keep_info)
        self._tasks = [asyncio.create_task(self._keep_on(part)) for part in parts]

    @property
    def watchers(self) -> int:
        """How many watch it."""
        return len(self._wakeups)

    def watch(self, wakeup: Wakeup) -> None:
        """Set an event whenever there is something new."""
        self._wakeups.add(wakeup)

    def leave(self, wakeup: Wakeup) -> None:
        """Do not set it any more."""
        self._wakeups.discard(wakeup)

    def close(self) -> None:
        """Read no more of it."""
        if self._waking:
            self._waking.cancel()
        for task in self._tasks:
            task.cancel()

    def note_head(self, revision: int) -> None:
        """How many events the log has; those that it had when it was asked before are to have come by now."""
        behind = max(0, self._known - self.head.revision) if self.is_ready else 0
        self._known = revision
        if behind != self.behind:
            self.behind = behind
            self._wake_soon()

    def since(self, revision: int) -> Batch | None:
        """What came after a revision; None if that is not known any more, and the page is to be loaded anew."""
        if revision == self.head.revision:
            return Batch(revision, self.head, "", (), (), (), ())
        oldest = self._kept[0].recorded.id.revision if self._kept else self.head.revision + 1
        if not oldest - 1 <= revision <= self.head.revision:
            return None
        found = self._batches.get(revision)
        if found is None or found.head != self.head:
            found = self._batches[revision] = self._batch(revision)
        return found

    def id_of(self, revision: int) -> EventId | None:
        """The event of a revision, where it is kept."""
        return next((one.recorded.id for one in self._kept if one.recorded.id.revision == revision), None)

    def _batch(self, revision: int) -> Batch:
        new = [one for one in self._kept if one.recorded.id.revision > revision]
        items = {item.revision: item for one in new for item in one.items}
        turns = [turn for turn in self._noted.turns if turn.revision > revision] or self._noted.turns[-1:]
        jumps = [jump for jump in self._noted.jumps if jump.revision > revision]
        link = new[-1].recorded.link if new else ""
        ordered = [items[one] for one in sorted(items)]
        return Batch(revision, self.head, link, ordered, [one.row for one in new], turns, jumps)

    async def _keep_on(self, part: Callable[[], Awaitable[None]]) -> None:
        """Whatever is the matter with a server: what can be read is read again."""
        while not self.trouble:
            try:
                await part()
                return
            except SessionNotFoundError:
                self._end(f"session {self.session_id!r} was deleted")
            except LogForkedError as error:
                self._end(str(error))
            except SessionLogError as error:
                logger.warning("error=<%s> | reading a session again", type(error).__name__)
                await asyncio.sleep(_AGAIN)

    def _end(self, trouble: str) -> None:
        """What was read is not the history of the session any more."""
        self.trouble = trouble
        self._conversations.open(self.session_id).forget()
        self._wake()
        self.close()

    async def _follow_events(self) -> None:
        if not self.is_ready:
            await self._begin()
        async with self._log.tail(self.session_id, self.head if self.head.revision else None) as tail:
            async for recorded in tail:
                await self._take(recorded)

    async def _begin(self) -> None:
        """Where it stands, and enough of what was before to tell what belongs to what comes."""
        await self._read_until(await self._work(lambda: self._log.head(self.session_id)))
        self.is_ready = True
        self._news.set()
        self._wake_soon()

    async def _read_until(self, head: EventId) -> None:
        self._growing, self._noted = OngoingTalk(), IndexBlock(0)
        happened = await self._work(lambda: [self._meaning(one) for one in self._before(head)])
        # At once, as those who watch look at it meanwhile.
        self._kept, self.head = deque(happened, KEPT), head

    def _before(self, head: EventId) -> Iterable[Recorded]:
        after = max(0, head.revision - _CONTEXT)
        return SalvagedEvents(self._log, self.session_id, after, head.revision)

    def _meaning(self, recorded: Recorded) -> Happened:
        items = self._growing.add(recorded)
        self._noted.add(recorded)
        is_known = items is not None and recorded.event.type != "payload.erased"
        return Happened(recorded, items or (), self._noted.newest(), is_known)

    async def _take(self, recorded: Recorded) -> None:
        if len(self._growing) > _MOST_ITEMS:
            await self._read_until(self.head)
        # Of a long message much is to be rendered: not on the event loop.
        happened = await self._work(lambda: self._meaning(recorded))
        self._kept.append(happened)
        self.head = recorded.id
        if not happened.is_known:
            await self._anew()
        if _is_reply(recorded):
            self.words.finish(recorded.event.agent, recorded.id.revision)
        self._news.set()
        self._wake_soon()

    async def _anew(self) -> None:
        """What was sent is to be seen no more: nothing of it is kept here, and pages load it as it is now."""
        self._conversations.open(self.session_id).forget()
        self.words.clear()
        self._batches.clear()
        await self._read_until(self.head)
        self.epoch += 1

    async def _follow_words(self) -> None:
        async with self._log.live(self.session_id) as tail:
            async for item in tail:
                if isinstance(item, Recorded):
                    if _is_reply(item):
                        self.words.finish(item.event.agent, item.id.revision)
                else:
                    self.words.hear(item)
                self._wake_soon()

    async def _keep_info(self) -> None:
        """What its head says of it: once for many events."""
        while not self.trouble:
            await self._news.wait()
            self._news.clear()
            self.info = await self._work(lambda: self._log.session(self.session_id))
            self._wake_soon()
            await asyncio.sleep(10 * _TICK)

    def _wake_soon(self) -> None:
        if self._waking is None:
            self._waking = self.loop.call_later(_TICK, self._wake)

    def _wake(self) -> None:
        self._waking = None
        # Those who are as far as most have, and take the same; of the others nothing is kept.
        self._batches.clear()
        for wakeup in self._wakeups:
            wakeup.set()


def _is_reply(recorded: Recorded) -> bool:
    """Whether an agent said this."""
    data = recorded.event.data
    if recorded.event.type != "message.added":
        return False
    message = data.get("message")
    return (message.get("role") if isinstance(message, dict) else data.get("role")) == "assistant"
