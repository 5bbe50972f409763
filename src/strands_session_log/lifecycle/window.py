"""Does an agent hold what the log thinks it holds?

Strands fires no event when a conversation manager trims or summarises, when context is offloaded, or when code assigns
`agent.messages`. So what the log projects is kept beside the live agent, as contents, and compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson

from ..codec import from_json, to_json
from ..state import AgentState, Messages
from .contents import MessageContent, contents_of
from .withheld import Withheld, first_said_since

Closely: TypeAlias = Literal["all", "newest", "none"]
"""Which of the messages that an agent holds are looked into."""

_new = tuple.__new__
_NEWEST = 128
"""Messages at the end that are looked into with every prompt; what was edited before them is noticed with the turn."""


class WindowSlot(NamedTuple):
    """One message the agent should hold.

    Attributes:
        at: Its index in the transcript; None when it stands nowhere in it.
        content: What it says.
        tracking_id: The name Strands has given it, which tells it from others that say the same.
        is_erased: Whether its content was erased: what an agent holds in its place is then what it said.
        is_by_hand: Whether it was put into the transcript beside the agent, which then does not hold it, but will when
            it is resumed.
    """

    at: int | None
    content: MessageContent
    tracking_id: object = None
    is_erased: bool = False
    is_by_hand: bool = False


class Window:
    """What the log projects as an agent's messages.

    Args:
        agent: What the log holds of the agent.
        withheld: What the agent held of a session that was deleted: it is passed over.
    """

    def __init__(self, agent: AgentState, withheld: Withheld | None = None) -> None:
        self._resumed: AgentState | None = agent
        self._withheld = withheld
        self._slots: list[WindowSlot] = []
        self._replicas: list[Any] = []
        self._seen: list[Any] | None = None
        self._removed = agent.removed
        self._is_untold = False

    def added(self, index: int, message: Any, by_hand: bool = False, text: tuple[str, str] | None = None) -> None:
        """Note a message written to the transcript, as it is now; `text` is who says what where that is all of it."""
        if text:
            content, name = MessageContent.of_text(*text), None
        else:
            content, name = MessageContent(message), _tracking_id(message)
        self._slots.append(_new(WindowSlot, (index, content, name, False, by_hand)))
        self._replicas.append(None if by_hand else content.replica)
        if self._seen is not None and not by_hand:
            self._seen.append(message)

    def replaced(self, index: int, message: Any) -> None:
        """Note a message replaced in the transcript."""
        content = MessageContent(message)
        changed = [
            slot._replace(content=content, is_erased=False) if slot.at == index else slot for slot in self._load()
        ]
        self._take(changed)

    def untold(self) -> None:
        """Note that what was told last did not get into the log."""
        self._is_untold = True

    def lost(self, index: int) -> None:
        """Note a message that did not get into the transcript: its index is another one's, which is not held."""
        self._take([slot for slot in self._load() if slot.at != index])

    def says(self, index: int, message: Any) -> bool:
        """Whether a message of the transcript that the agent held when it was last compared says what this one does."""
        content = MessageContent(message)
        return any(slot.at == index and slot.content == content for slot in self._load())

    def look_anew(self) -> None:
        """Note that no glance tells any more what the log knows."""
        self._seen = None

    def is_as_seen(self, live: Sequence[Any], removed: int, newest: bool) -> bool:
        """Whether a glance sees what the last comparison saw: the same messages, not what stands in them.

        Args:
            live: `agent.messages`.
            removed: Its conversation manager's removed count.
            newest: Look into the newest ones, too.
        """
        # Equal lists of the same objects are compared without touching one of these: 13 µs for 2,000 messages.
        if self._seen is None or removed != self._removed or not _are_equal(self._seen, live):
            return False
        return not newest or _are_equal(self._replicas[-_NEWEST:], live[-_NEWEST:])

    def changed(
        self, live: Sequence[Any], removed: int, next_index: int, forced: bool = False
    ) -> dict[str, Any] | None:
        """Compare with what the agent holds now.

        Args:
            live: `agent.messages`.
            removed: Its conversation manager's removed count, as it is being written.
            next_index: The index of its next message.
            forced: Tell it in any case.

        Returns:
            The data of a `WindowChanged` event; None when messages and state tell it all.

        Raises:
            EncodingError: When a value in what has changed cannot be stored.
        """
        told = self._changed(live, removed, next_index, forced)
        self._seen = list(live)
        return told

    def _changed(self, live: Sequence[Any], removed: int, next_index: int, forced: bool) -> dict[str, Any] | None:
        self._load()
        # A count that went back is that of another conversation manager: the fold would take what it says literally.
        gone, is_behind = max(0, removed - self._removed), removed < self._removed
        must_tell = forced or self._is_untold or is_behind
        if must_tell or self._withheld is not None or not self._are_those_after(gone, live):
            return self._compare(live, gone, removed, next_index, must_tell)
        del self._slots[:gone], self._replicas[:gone]
        self._removed = removed
        return None

    def _are_those_after(self, gone: int, live: Sequence[Any]) -> bool:
        """Whether the agent holds what is expected, message for message, which is what most turns end with."""
        return _are_equal(self._replicas[gone:] if gone else self._replicas, live)

    def _compare(
        self, live: Sequence[Any], gone: int, removed: int, next_index: int, must_tell: bool
    ) -> dict[str, Any] | None:
        slots = self._slots.copy()
        contents = contents_of(live, [slot.content for slot in slots[gone:]])
        if self._withheld is not None:
            prints = [content.print for content in contents]
            first = first_said_since(prints, [slot.content.print for slot in slots if slot.at is not None])
            live, contents = live[first:], contents[first:]
        expected = slots[gone:]
        if [slot.content for slot in expected] != contents:
            slots[gone:] = expected = _with_erased(expected, contents)
        explained = None if must_tell else _explained(expected, contents)
        if explained is not None:
            self._removed = removed
            self._take(_as_held(explained, contents))
            return None
        placed = _placed(slots, contents, live)
        # Not before: where a message cannot be stored, this is where that is found out, and nothing is told.
        self._removed, self._is_untold = removed, False
        has_any_by_hand = any(slot.is_by_hand for slot in expected)
        self._take(_with_those_by_hand(placed, expected) if has_any_by_hand else placed)
        return {"items": list(_items(self._slots, live)), "removed": removed, "next": next_index}

    def _load(self) -> Sequence[WindowSlot]:
        """Look at what was resumed only once it is needed: not while a message waits to be written."""
        if self._resumed is not None:
            resumed, self._resumed = list(_slots_of(self._resumed)), None
            self._take([*resumed, *self._slots])
        return self._slots

    def _take(self, slots: list[WindowSlot]) -> None:
        self._slots, self._replicas = slots, list(map(_replica_of, slots))


def _slots_of(agent: AgentState) -> Iterator[WindowSlot]:
    for span in agent.window_spans():
        if isinstance(span, Mapping):
            yield _slot(None, span)
        else:
            for one in agent.messages[span[0] : span[1]]:
                yield _slot(one.message_id, one.shown, one.erased)


def _slot(at: int | None, message: Mapping[str, Any], is_erased: bool = False) -> WindowSlot:
    """Of what stands in the log, as the agent has it that is resumed."""
    return WindowSlot(at, MessageContent(from_json(message)), _tracking_id(message), is_erased)


def _replica_of(slot: WindowSlot) -> Any:
    """What the agent's message is compared with; None if it holds none, or that does not tell."""
    return None if slot.is_by_hand else slot.content.replica


def _are_equal(known: list[Any], live: Sequence[Any]) -> bool:
    """Whether messages are what is known; no where something in them, an array say, refuses to be compared."""
    with suppress(Exception):
        return len(known) == len(live) and bool(known == (live if isinstance(live, list) else list(live)))
    return False


def _with_erased(known: Sequence[WindowSlot], contents: Sequence[MessageContent]) -> list[WindowSlot]:
    """Each erased message with the content of what stands in its place, between those that are recognised.

    Otherwise what an agent, or another session manager, still holds of it would be a message that stands nowhere.
    """
    slots = list(known)
    if not any(slot.is_erased for slot in slots):
        return slots
    positions = {slot.content: at for at, slot in enumerate(slots) if not slot.is_erased}
    start, unknown = 0, list[MessageContent]()
    for content in (*contents, None):
        end = len(slots) if content is None else positions.get(content)
        if end is None:
            unknown += [] if content is None else [content]
            continue
        gap = [at for at in range(start, end) if slots[at].is_erased]
        for at, found in zip(reversed(gap), reversed(unknown), strict=False):
            slots[at] = slots[at]._replace(content=found)
        start, unknown = max(start, end + 1), []
    return slots


def _explained(expected: list[WindowSlot], contents: Sequence[MessageContent]) -> list[WindowSlot] | None:
    """What is expected, if it is held, with or without what was put there by hand."""
    if [slot.content for slot in expected] == contents:
        return [slot._replace(is_by_hand=False) if slot.is_by_hand else slot for slot in expected]
    return expected if [slot.content for slot in expected if not slot.is_by_hand] == contents else None


def _as_held(slots: Sequence[WindowSlot], contents: Iterable[MessageContent]) -> list[WindowSlot]:
    """The slots, each with what was seen of its message last: the next comparison knows it."""
    seen = iter(contents)
    return [
        slot if slot.is_by_hand or (content := next(seen)) is slot.content else slot._replace(content=content)
        for slot in slots
    ]


def _with_those_by_hand(held: list[WindowSlot], known: Sequence[WindowSlot]) -> list[WindowSlot]:
    """What is held now, and what was put into the transcript by hand, unless all that it came after is held no more."""
    still_held = {(slot.at, slot.content): slot for slot in held}
    before: WindowSlot | None = None
    is_left = True
    for slot in known:
        if same := still_held.get((slot.at, slot.content)):
            before, is_left = same, True
        elif not slot.is_by_hand:
            is_left = before is not None
        elif is_left:
            held.insert(0 if before is None else held.index(before) + 1, slot)
            before = slot
    return held


def _placed(known: Sequence[WindowSlot], contents: Sequence[MessageContent], live: Sequence[Any]) -> list[WindowSlot]:
    """What is held now, each with its index; an index stands once, as the fold takes it: another copy has none.

    Of several that say the same it is the one with its tracking id, if there is one.
    """
    indices: dict[object, deque[int]] = {}
    for slot in sorted(known, key=lambda slot: slot.is_by_hand):
        if slot.at is not None:
            indices.setdefault((slot.content, slot.tracking_id), deque()).append(slot.at)
            indices.setdefault(slot.content, deque()).append(slot.at)
    names = [_tracking_id(message) for message in live]
    own = [_next(indices.get((content, name))) for content, name in zip(contents, names, strict=True)]
    taken = set(own)
    pairs = zip(own, contents, strict=True)
    found = (_next(indices.get(content), taken) if at is None else at for at, content in pairs)
    return [WindowSlot(at, content, name) for at, content, name in zip(found, contents, names, strict=True)]


def _next(indices: deque[int] | None, taken: Collection[int | None] = ()) -> int | None:
    while indices:
        if (index := indices.popleft()) not in taken:
            return index
    return None


def _tracking_id(message: Any) -> object:
    # That it is a dict is quickly seen.
    return message.get("tracking_id") if type(message) is dict or isinstance(message, Mapping) else None


def _items(slots: Iterable[WindowSlot], live: Iterable[Any]) -> Iterable[Any]:
    """Ranges of consecutive indices, and what stands nowhere else in full."""
    run: list[int] = []
    messages = iter(live)
    for slot in slots:
        message = None if slot.is_by_hand else next(messages)
        if run and slot.at == run[1] + 1:
            run[1] += 1
            continue
        if run:
            yield run
        run = [] if slot.at is None else [slot.at, slot.at]
        if slot.at is None:
            yield {"message": message}
    if run:
        yield run


class Spoken(NamedTuple):
    """The message that was written last, into which Strands may merge what comes next.

    Attributes:
        at: Where it stands.
        created_at: When it was written first.
        live: The message itself, which may have been changed since.
        written: What it said: its message as JSON values, or the body of its event.
    """

    at: int
    created_at: str
    live: Mapping[str, Any]
    written: Mapping[str, Any] | bytes

    @classmethod
    def last_of(cls, messages: Messages) -> Spoken | None:
        """The last message of a transcript."""
        if not messages:
            return None
        last = messages[-1]
        shown = last.shown
        return cls(last.message_id, last.created_at, shown, shown)

    def is_continued_by(self, message: Any, held: Sequence[Any]) -> bool:
        """Whether a message is this one, into which Strands has merged another.

        A tracking id alone does not tell: applications say the same dict again, and copies of it. Strands puts a copy
        in the place of the message, which has more after what the message said.

        Args:
            message: The message.
            held: What its agent holds.
        """
        tracking_id = message.get("tracking_id")
        if tracking_id is None or tracking_id != self.live.get("tracking_id") or message is self.live:
            return False
        if sum(one.get("tracking_id") == tracking_id for one in held) != 1:
            return False
        written = orjson.loads(self.written)["message"] if isinstance(self.written, bytes) else self.written
        said, says = written["content"], to_json(message, "message")["content"]
        return message["role"] == written["role"] and len(says) > len(said) and says[: len(said)] == said
