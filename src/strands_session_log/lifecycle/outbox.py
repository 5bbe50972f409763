"""What is to be written of one live agent, graph or swarm: in order, exactly once."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

from .. import codec, events
from ..codec import Encoded
from ..errors import ConcurrentWriteError, ServerRefusedError, ServerUnavailableError, SessionLogError
from ..event_log import ANY, FEW_EVENTS, AgentAt, EventLog, Expected, InLife, MultiAgentAt, first_batch
from ..event_log.expected import begun
from ..events import Event
from ..events.facts import REMOVED
from ..ids import EventId
from ..instrumentation import Repaired
from ..instrumentation.hooks import hooks
from .compat import begin_in_thread, begin_later

ENDS = (events.InvocationCompleted, events.InvocationFailed)
"""How a call ends."""


class Outbox:
    """Collects events and writes them.

    Events are made and encoded where they happen, and written by `flush`, which may run in another thread. Facts wait
    for what must not wait, so that what happens together travels together; messages may be held back for a model call;
    the rest waits for the network. A batch whose outcome is unknown is repeated as it was, before all else: the log
    recognises a batch that has landed by its events. Any number of threads may use it.

    Args:
        fenced: Refuse to write when someone else has moved the agent, or the graph or swarm, of this id.
        life: Refuse to write to another session than this one, see `EventLog.life`; None to leave that open.
        keeps_all: Give up nothing of a batch that can never be written: its owner has other means.

    Attributes:
        agent_id: The agent, graph or swarm.
        moved: The event with which it moved last, as far as is known.
        written: The event that was written last, as far as is known.
        lock: Held by whoever needs several things of it to belong together; never while the network is waited for.
    """

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        agent_id: str,
        moved: EventId,
        fenced: Literal["agent", "multi_agent", ""],
        life: str | None = None,
        keeps_all: bool = False,
    ) -> None:
        self.log, self.session_id, self._fenced, self._keeps_all = log, session_id, fenced, keeps_all
        self.agent_id, self.moved, self.life, self.written = agent_id, moved, life, moved
        self._sent, self._waiting, self._facts = list[Encoded](), list[Encoded](), list[Encoded]()
        self._held: dict[object, list[Encoded]] = {}
        self.lock, self._flush_lock = threading.RLock(), threading.Lock()
        self._lost: SessionLogError | None = None
        self._missed: Exception | None = None

    @property
    def has_waiting(self) -> bool:
        """Whether a flush would have anything to write."""
        return bool(self._waiting or self._sent)

    @property
    def is_unsettled(self) -> bool:
        """Whether a batch was tried, and may have landed or not."""
        return bool(self._sent)

    def note(self, happened: Iterable[Event]) -> None:
        """Keep facts until something is written that must not wait."""
        for event in happened:
            encoded = codec.encode(event)
            with self.lock:
                self._facts.append(encoded)

    def queue(self, happened: Sequence[Event] = (), hold_for: object = None) -> list[Encoded]:
        """Put events, and the facts before them, in line to be written; or hold them back until `release`.

        Args:
            happened: The events.
            hold_for: Until what is released they are held back; None if they are not.

        Raises:
            EncodingError: When a value cannot be stored; then none of these events is in line.
        """
        encoded = list(map(codec.encode, happened))
        self._put_in_line(*encoded, hold_for=hold_for)
        return encoded

    def _put_in_line(self, *encoded: Encoded, hold_for: object = None) -> None:
        with self.lock:
            line = self._waiting if hold_for is None else self._held.setdefault(hold_for, [])
            if self._facts:
                line += self._facts
                self._facts = []
            line += encoded

    def _tell_removed(self, count: int | None) -> bool:
        """Let the end of a call that is to be told tell how many messages a conversation manager has removed, too.

        A window that slides counts on with every call: its agent's record would be written anew for a number.

        Args:
            count: How many; None where that is not all there is to tell.

        Returns:
            Whether it tells.
        """
        line = self._facts or self._waiting
        if count is None or not line or not isinstance(line[-1].event, ENDS) or line[-1].event.agent != self.agent_id:
            return False
        line[-1] = codec.with_member(line[-1], REMOVED, count)
        return True

    def release(self, what: object) -> None:
        """Put what was held back for it in line, before the facts that were noted since."""
        if self._held:
            with self.lock:
                self._waiting += self._held.pop(what, [])

    def renumber(self, next_index: int) -> Mapping[int, int]:
        """Give messages that wait other indices, in their order from this one on, and what refers to them.

        Returns:
            Their new indices, by the ones they had.
        """
        with self.lock:
            new = {old: next_index + at for at, old in enumerate(sorted(self._indices))}
            for line in self._lines if any(old != now for old, now in new.items()) else ():
                line[:] = [_renumbered(encoded, new) for encoded in line]
        return new

    def rename(self, agent_id: str) -> None:
        """Write what waits, and all that comes, of an agent of another id."""
        with self.lock:
            self.agent_id = agent_id
            for line in [*self._lines, self._facts]:
                line[:] = [codec.reissued(one, agent_id) for one in line]

    def flush(self) -> None:
        """Write what is in line, oldest first.

        Raises:
            SessionLogError: What could not be written stays in line, for the next time; but for what never can be,
                as it is too large, or a message whose index another one has: it is given up, and all else written.
        """
        before = self._missed
        with self._flush_lock:
            if self._missed is not before and self._missed:
                # Whoever waited here has waited for the server, which `flush_ahead` gave up a moment ago.
                raise self._missed
            self._send()
            lost, self._lost, self._missed = self._lost, None, None
        if lost:
            raise lost

    def flush_ahead(self) -> None:
        """Write what is in line while nobody waits for it; the next `flush` repeats what failed, and raises.

        One that was waiting for this meanwhile raises at once, where it was in vain that the server was waited for.
        """
        with self._flush_lock:
            try:
                self._send()
            except Exception as error:
                self._missed = error if _has_waited(error) else None

    def flush_soon(self) -> None:
        """Write what is in line with what comes next; after a moment without it, if that stays away."""
        with self.lock:
            line = self._waiting[-1:]
        for last in line:
            begin_later(partial(self._flush_if_in_line, last))

    def _flush_if_in_line(self, last: Encoded) -> None:
        if any(one is last for one in self._waiting):
            begin_in_thread(self.flush_ahead)

    def _send(self) -> None:
        failed_before = self._sent
        while self._waiting or self._sent:
            batch = self._next_batch()
            try:
                self._append(batch)
            except (ConcurrentWriteError, ServerRefusedError) as error:
                if not (hopeless := self._hopeless(error)):
                    raise
                self._give_up(hopeless)
                self._lost = error
                continue
            self._sent = []
            if batch is failed_before:
                hooks.tell(Repaired(len(batch)))

    def _next_batch(self) -> list[Encoded]:
        """What was tried before, alone; else what is in line, or as much of it as may land at once."""
        with self.lock:
            if not self._sent:
                line = self._waiting
                count = len(line) if len(line) <= FEW_EVENTS else first_batch(line, FEW_EVENTS)
                self._sent, self._waiting = line[:count], line[count:]
            return self._sent

    def _append(self, batch: Sequence[Encoded]) -> None:
        ids = self.log.append(self.session_id, batch, self._expected())
        self.life, self.written = self.life and begun(self.life, ids[0]), ids[-1]
        for id_, encoded in zip(ids, batch, strict=True):
            # A message moves its agent.
            moves = encoded.event.moves if encoded.message_index is None else "agent"
            if moves == self._fenced:
                self.moved = id_

    def _expected(self) -> Expected:
        if self.life is not None and not (self._fenced and self.moved.revision):
            return InLife(self.life)
        if not self._fenced:
            return ANY
        return (AgentAt if self._fenced == "agent" else MultiAgentAt)(self.agent_id, self.moved)

    def _hopeless(self, error: ConcurrentWriteError | ServerRefusedError) -> list[Encoded]:
        """What of a batch that was refused can never be written; not what its owner has other means for."""
        if isinstance(error, ConcurrentWriteError):
            index = error.actual.get("message") if self._fenced == "agent" else None
            return [one for one in self._sent if isinstance(index, int) and is_about(one, index)]
        is_too_large = error.is_too_large and not self._keeps_all
        return [max(self._sent, key=lambda one: len(one.body))] if is_too_large else []

    def _give_up(self, hopeless: Sequence[Encoded]) -> None:
        """Drop some of what was refused, and all that is about messages among it."""
        added = {one.message_index for one in hopeless if one.message_index is not None}

        def left_of(line: Iterable[Encoded]) -> list[Encoded]:
            left = [one for one in line if not any(one is other for other in hopeless)]
            return [one for one in left if not any(is_about(one, index) for index in added)]

        with self.lock:
            # Under other ids: what may have become of the batch as it was is not what becomes of this one.
            left = [codec.reissued(one) for one in left_of(self._sent)]
            self._sent, self._waiting = [], [*left, *left_of(self._waiting)]
            for one in hopeless:
                self._take_back(one.event)

    def _take_back(self, event: Event) -> None:
        """The log does not know what an event would have told it."""

    def _forget_error_texts(self) -> None:
        """Tell of errors that wait to be told of without what they say, which may quote what is never to be written."""
        with self.lock:
            for line in [self._waiting, *self._held.values(), self._facts]:
                line[:] = [codec.without_member(encoded, "error_text") for encoded in line]

    def _place_of_held(self, index: int) -> tuple[list[Encoded], int] | None:
        """Where an event about the message of an index is held back."""
        places = ((line, at) for line in self._held.values() for at in range(len(line)))
        return next(((line, at) for line, at in places if is_about(line[at], index)), None)

    @property
    def _lines(self) -> list[list[Encoded]]:
        return [self._sent, self._waiting, *self._held.values()]

    @property
    def _indices(self) -> Collection[int]:
        """Those that messages which wait are to have."""
        return {one.message_index for line in self._lines for one in line if one.message_index is not None}


def is_about(encoded: Encoded, index: int) -> bool:
    """Whether an event is about the message of an index."""
    return isinstance(encoded.event, (events.MessageAdded, events.MessageUpdated)) and (
        encoded.event.data.get("message_id") == index
    )


def _renumbered(encoded: Encoded, new: Mapping[int, int]) -> Encoded:
    index = encoded.event.data.get("message_id")
    if not isinstance(index, int) or new.get(index, index) == index:
        return encoded
    return codec.renumbered(encoded, new[index])


def _has_waited(error: Exception) -> bool:
    """Whether a write has failed because the server stayed away for as long as it may."""
    return isinstance(error, ServerUnavailableError) or isinstance(error.__cause__, ServerUnavailableError)
