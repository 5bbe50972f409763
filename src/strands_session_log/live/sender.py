"""The thread that sends what the agents of a process say: whatever is due goes in one round trip."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable, Sequence
from math import inf
from threading import Condition
from typing import Any, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from ..concurrency import ProcessBound, WorkerThread
from ..errors.quoting import frames_of
from ..scripts import LIVE
from ..server import Call, Client, Store

logger = logging.getLogger(__name__)

_GATHER = 0.005
"""Seconds between two round trips, at least: what is due meanwhile goes together."""
_IDLE = 5.0
_MOST_CHARACTERS = 4_000_000
"""What is sent at once, about."""

Sending: TypeAlias = Generator[Call, Any, None]
"""Calls of the script that publishes, each given its reply; an error that stands for it is raised there."""


class LiveSource(Protocol):
    """Something that has pieces to be sent.

    Attributes:
        store: Where to; one attempt is made.
        characters: How much waits, about.
    """

    store: Store
    characters: int

    def sending(self) -> Sending:
        """What is to be sent now; must neither wait nor raise."""


class Sender(ProcessBound):
    """Sends for all whose stores share a client, in a thread that is there only while there is something to do.

    In a cluster for those of one node: a round trip to all would wait for the slowest, and fail where one is away.

    With a thread for each of a hundred agents, handing the interpreter from one to the other is most of what they do.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread, self._changed = WorkerThread("session-log-live"), Condition()
        self._due = dict[LiveSource, float]()
        self._awake_at, self._not_before = -inf, 0.0

    def schedule(self, source: LiveSource, at: float) -> None:
        """Send for a source at a time of the monotonic clock; when that was said before, it stays as it was said first.

        Raises:
            RuntimeError: When there can be no more threads, or the interpreter ends.
        """
        with self._changed:
            self._due.setdefault(source, at)
            self._thread.start(self._run)
            if at < self._awake_at:
                self._changed.notify_all()

    def _run(self) -> None:
        while self._send_what_is_due():
            pass

    def _send_what_is_due(self) -> bool:
        # While it waits it must not hold on to those it has sent for.
        due = self._await()
        if due:
            _send(due)
        return bool(due)

    def _await(self) -> Sequence[LiveSource]:
        """Wait until some are due; none after a while without."""
        with self._changed:
            while (at := self._next()) > (now := time.monotonic()):
                self._awake_at = at
                if not self._changed.wait(min(at - now, _IDLE)) and not self._due:
                    self._thread.rest()
                    return ()
            self._awake_at, self._not_before = -inf, now + _GATHER
            return self._taken(now)

    def _next(self) -> float:
        return max(min(self._due.values(), default=inf), self._not_before)

    def _taken(self, now: float) -> Sequence[LiveSource]:
        """Those that are due, the longest first."""
        found, characters = list[LiveSource](), 0
        for source in sorted(self._due, key=self._due.__getitem__):
            if self._due[source] > now or characters > _MOST_CHARACTERS:
                break
            characters += source.characters
            found.append(source)
            del self._due[source]
        return found


def _send(due: Sequence[LiveSource]) -> None:
    """Each has a call under way at a time, those of all go together."""
    store = due[0].store
    waiting = _called((source.sending(), None) for source in due)
    while waiting:
        replies = _replies(store, [call for _, call in waiting])
        waiting = _called(zip((sending for sending, _ in waiting), replies, strict=True))


def _called(told: Iterable[tuple[Sending, Any]]) -> list[tuple[Sending, Call]]:
    """Those that go on, each with its next call."""
    calls = ((sending, _next_call(sending, reply)) for sending, reply in told)
    return [(sending, call) for sending, call in calls if call is not None]


def _next_call(sending: Sending, reply: Any) -> Call | None:
    try:
        return sending.throw(reply) if isinstance(reply, Exception) else sending.send(reply)
    except StopIteration:
        return None
    except Exception as error:
        # It should not, and is in no other's way where it does.
        logger.error("error=<%s> | what agents say is not published", frames_of(error))
        return None


def _replies(store: Store, calls: Sequence[Call]) -> Sequence[Any]:
    """The reply to each; in its place stands what went wrong."""
    try:
        return store.run_each(LIVE, calls)
    except Exception as error:
        return [error] * len(calls)


_senders: WeakKeyDictionary[Client, dict[str, Sender]] = WeakKeyDictionary()


def sender_for(store: Store, key: str) -> Sender:
    """The one of this process for a client, and the node that has a key; of two that are made at once, both work."""
    senders, node = _senders.setdefault(store.client, {}), store.node_of(key)
    found = senders.get(node)
    if found is None or found.is_elsewhere:
        found = senders[node] = Sender()
    return found
