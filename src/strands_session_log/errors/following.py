"""Errors of those who follow the log together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .base import SessionLogError, shown

if TYPE_CHECKING:
    from ..feed import FeedId
    from ..ids import EventId

_LONGEST = 200


class FeedGapError(SessionLogError):
    """Envelopes of the feed are gone that were not delivered: trimmed, deleted, or lost with the server's data.

    Their events are in the session streams, unless these are gone, too.

    Attributes:
        after: The place in the feed after which they stood.
        before: The place before which they stood; None when nothing stands there now.
        count: How many there were, if that is known.
    """

    def __init__(self, after: FeedId, before: FeedId | None, count: int | None = None) -> None:
        self.after, self.before, self.count = after, before, count
        number = "envelopes" if count is None else f"{count} envelope{'s' * (count != 1)}"
        end = "the end of the feed" if before is None else str(before)
        super().__init__(
            f"missing {number} between {after} and {end}, trimmed before delivery; the sessions have their events. "
            "A group reads them with `catch_up(error)` or `session-log groups catch-up`, and is told again until then "
            "or `skip`; a tail goes on behind them when it is iterated again"
        )


class PositionUnknownError(SessionLogError):
    """A tail of all sessions was asked where it stands before the server has said where it begins."""

    def __init__(self) -> None:
        super().__init__(
            "the tail does not know yet where it begins; ask for `position` inside `with tail:` or `async with tail:`, "
            "which wait until it does"
        )


class AsyncioNeededError(SessionLogError, RuntimeError):
    """What reads along was awaited in another event loop than one of asyncio, trio's for example."""

    def __init__(self) -> None:
        super().__init__(
            "tails and subscribers want asyncio: there is no event loop of it here. Run them with asyncio.run, or "
            "iterate with `for` in a thread (under trio, in trio.to_thread.run_sync)"
        )


class EnvelopeMismatchError(SessionLogError):
    """The feed says of an event what its session does not: one of the two was written by somebody else.

    Attributes:
        session_id: The session.
        id: The event.
        feed_id: Where the envelope stands in the feed.
        differs: What the feed says and what the session has, by name: of `id`, `type`, `agent`, `link` and `facts`.
    """

    def __init__(
        self, session_id: str, id: EventId, feed_id: FeedId, differs: Mapping[str, tuple[object, object]]
    ) -> None:
        self.session_id, self.id, self.feed_id, self.differs = session_id, id, feed_id, dict(differs)
        # What facts hold is not for a message that is logged and parked: somebody else may have written it.
        told = "; ".join(
            "other facts" if name == "facts" else f"{name} {_excerpt(one)}, not {_excerpt(other)}"
            for name, (one, other) in differs.items()
        )
        super().__init__(
            f"envelope {feed_id} says of event {id} of session {session_id!r} what the session does not: {told}; "
            f"`session-log verify` tells whether the session is intact"
        )


class HandlerError(SessionLogError):
    """A function returned something of which nothing has run, and nothing will: what it is for would not be done.

    Attributes:
        name: What it was given as: `handler`, `progress`.
        function: What the function is called.
        returned: The type of what it returned.
        cure: What to do.
    """

    def __init__(self, name: str, function: str, returned: str, cure: str) -> None:
        self.name, self.function, self.returned, self.cure = name, function, returned, cure
        super().__init__(f"{name}={function}: it returned {returned!r}, of which nothing has run; {cure}")

    @classmethod
    def of(cls, name: str, function: object, returned: object, cure: str) -> HandlerError:
        """What a function returned, without either: errors travel to other processes."""
        called = getattr(function, "__qualname__", type(function).__qualname__)
        return cls(name, called, type(returned).__qualname__, cure)


class DeliveryLostError(SessionLogError):
    """The delivery is not this consumer's any more, so what it says of it does not count; another consumer has it.

    Attributes:
        session_id: The session.
        id: The event.
        consumer: Who is late.
    """

    def __init__(self, session_id: str, id: EventId, consumer: str) -> None:
        self.session_id, self.id, self.consumer = session_id, id, consumer
        super().__init__(
            f"event {id} of session {session_id!r} is no longer {consumer!r}'s: it took too long, stood still, or has "
            "left its subscription, and another consumer has it. Make `claim_after` longer, or the handler faster"
        )


class GroupNotFoundError(SessionLogError, LookupError):
    """There is no consumer group of this name.

    Attributes:
        group: The name.
        known: The groups there are.
    """

    def __init__(self, group: str, known: Sequence[str]) -> None:
        self.group, self.known = group, tuple(known)
        there = f"there are {', '.join(map(repr, known))}" if known else "there is none yet, a `Subscriber` makes one"
        super().__init__(f"there is no group {group!r}: {there}")


class ParkedNotFoundError(SessionLogError, LookupError):
    """The group has parked no event of this name."""

    def __init__(self, group: str, parked_id: str) -> None:
        self.group, self.parked_id = group, parked_id
        super().__init__(
            f"group {group!r} has no parked event {parked_id!r}: `session-log parked list {group}` shows what it has"
        )


def _excerpt(value: object) -> str:
    text = shown(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
