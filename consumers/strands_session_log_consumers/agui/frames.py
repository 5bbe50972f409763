"""Events as they are sent, kept for those who are behind, and for those who come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from ag_ui.core import BaseEvent
from ag_ui.encoder import EventEncoder

from strands_session_log import LivePosition

_NOWHERE: Final = str(LivePosition())
"""The id of what is told anew: whoever has no more than a part of it is told all of it again."""
_BEGIN: Final = ("START", "STARTED")
_END: Final = ("END", "FINISHED", "ERROR")
_RUN: Final = "RUN"
_NAMES: Final = ("message_id", "tool_call_id", "step_name", "subagent_run_id")
_encode = EventEncoder().encode


class AguiFrame(NamedTuple):
    """An event as it is sent.

    Attributes:
        sent: Its bytes.
        is_last: Whether the run is over with it.
        begins: Whether a run begins with it.
        opened: What a client that has it has open: the run, and what is being said.
    """

    sent: bytes
    is_last: bool
    begins: bool
    opened: tuple[BaseEvent, ...]


class Resumption(NamedTuple):
    """How somebody who comes back goes on.

    Attributes:
        at: How many frames there were of which it has all.
        opened: What is to be begun again before it can go on.
    """

    at: int
    opened: tuple[BaseEvent, ...]


class OpenEvents:
    """What a client has open that was told a thread from its beginning."""

    def __init__(self) -> None:
        self._open = dict[tuple[str, str], BaseEvent]()
        self.now: tuple[BaseEvent, ...] = ()

    def begin(self, run: BaseEvent | None) -> None:
        """Nothing is open but a run, if there is one."""
        self._open.clear()
        self.now = ()
        if run:
            self.take(run)

    def take(self, event: BaseEvent) -> None:
        """Note an event."""
        kind, _, change = event.type.value.rpartition("_")
        if kind == _RUN:
            self._open.clear()
        name = next((str(getattr(event, one)) for one in _NAMES if hasattr(event, one)), "")
        if change in _BEGIN:
            self._open[kind, name] = event
        elif change in _END:
            self._open.pop((kind, name), None)
        else:
            return
        self.now = tuple(self._open.values())


def framed(event: BaseEvent, id_: str) -> bytes:
    """An event as it is sent, with the place behind which it stands."""
    return f"id: {id_}\n{_encode(event)}".encode()


def told_anew(events: Iterable[BaseEvent], position: LivePosition) -> bytes:
    """All there is of a thread: only who has the last of it has it."""
    *some, last = events
    return b"".join([*(framed(event, _NOWHERE) for event in some), framed(last, str(position))])


def begun_again(resumption: Resumption, id_: str) -> bytes:
    """What somebody has open who comes back: nothing of it is new."""
    return b"".join(framed(event, id_) for event in resumption.opened)


def position_of(id_: str) -> tuple[LivePosition, bool]:
    """The position an id stands for, and whether who has its frame has all of what happened there.

    Raises:
        InvalidPointError: It is no id.
    """
    position, has_part, _ = id_.partition("~")
    return LivePosition.parse(position), not has_part


class KeptFrames:
    """The frames of a thread.

    What happens at one position may take several frames: the last has the position as its id, those before it
    `position~1`, `position~2` and so on. So each id says exactly what who has it has.

    Args:
        kept: How many are kept.
        kept_bytes: How many bytes they have together at most. What happened last is kept however long it is: whoever
            has all before it could else never go on.

    Attributes:
        count: How many there were.
    """

    def __init__(self, kept: int, kept_bytes: int) -> None:
        self._kept, self._kept_bytes, self._frames = kept, kept_bytes, deque[AguiFrame]()
        self._size = self._newest = 0
        self._places = dict[str, int]()
        self._open = OpenEvents()
        self.count = 0

    def add(self, events: Iterable[BaseEvent], position: LivePosition) -> bool:
        """Take what happened at a position; returns whether that is anything."""
        found, at = [*events], str(position)
        self._newest = len(found) or self._newest
        for number, event in enumerate(found, 1):
            id_ = at if number == len(found) else f"{at}~{number}"
            self._open.take(event)
            sent, (begins, is_last) = framed(event, id_), _bounds(event)
            self._frames.append(AguiFrame(sent, is_last, begins, self._open.now))
            self._size += len(sent)
            self.count += 1
            self._note(id_)
        self._note(at)
        return bool(found)

    def drop_oldest(self) -> None:
        """Keep no more than may be; once those who keep up have had their turn, however much came at once."""
        while len(self._frames) > max(self._newest, self._kept) or (
            self._size > self._kept_bytes and len(self._frames) > self._newest
        ):
            self._size -= len(self._frames.popleft().sent)

    def begin(self, run: BaseEvent | None) -> None:
        """All was read anew, and this run is in progress, if any is."""
        self._open.begin(run)

    def _note(self, id_: str) -> None:
        self._places.pop(id_, None)
        self._places[id_] = self.count
        if len(self._places) > self._kept:
            del self._places[next(iter(self._places))]

    def are_gone(self, at: int) -> bool:
        """Whether what followed so many frames is not here any more."""
        return at < self.count - len(self._frames)

    def since(self, at: int) -> list[AguiFrame]:
        """Those that followed so many."""
        return [self._frames[place] for place in range(at - self.count, 0)]

    def resumption(self, id_: str) -> Resumption | None:
        """How somebody goes on who has the frame of this id; None where it is to be told all."""
        at = self._places.get(id_)
        if at is None or self.are_gone(at - 1) or at == 0:
            return None
        opened = self._frames[at - 1 - self.count].opened
        following = self.since(at)[:1]
        # A stream begins with a run that begins: the one it is in, or the next.
        return Resumption(at, opened) if opened or (following and following[0].begins) else None


def _bounds(event: BaseEvent) -> tuple[bool, bool]:
    kind, _, change = event.type.value.rpartition("_")
    return kind == _RUN and change in _BEGIN, kind == _RUN and change in _END
