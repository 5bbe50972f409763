"""One event in a consumer's hands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from ..codec import RawEntry, recorded
from ..encryption import is_encrypted
from ..errors import CiphertextError, CorruptEntryError, DeliveryLostError, EncryptionError
from ..events import Event, Recorded
from ..feed import Envelope, check_fields, envelope_of, link_of, tells_of
from ..ids import EventId
from ..keys import Keyspace
from .failure import Failure

RawBody = Sequence[Any]
_SEALED = b'"sealed":true'
SESSION, ID, FACTS = 1, 3, 11
"""Where they stand among the fields of an envelope and their names."""


class Settler(Protocol):
    """Where a delivery is settled."""

    consumer: str
    keeps_texts: bool

    def opened(self, session_id: str, body: RawEntry) -> RawEntry:
        """An entry with its content opened; as it is, where it is not encrypted, or the key is not at hand."""

    def ack(self, delivery: BaseDelivery, confirm: bool) -> Future[bool] | None:
        """Note that it is done; the future, where it matters, tells whether that counted."""

    def fail(self, delivery: BaseDelivery, what: str, failure: Failure) -> None:
        """Note that it is not: it is to be tried again (`nack`), or given up (`park`)."""


class BaseDelivery:
    """An event of some session, for this consumer to handle and then to settle; `in_flight` says what becomes of it.

    Attributes:
        partition: The partition of its session.
        key: Its stream id in the feed; empty when it comes from elsewhere.
        fields: What the feed says of the event, names and values in turn, as the server sends them.
        body: The entry of the event in its session, undecoded; None when it was not asked for, or is gone.
        attempts: Which attempt this is, from 1.
        expires: Until when it is certainly this consumer's, on the monotonic clock.
        is_read: Whether the feed is known to say what it can.
        started: When it was handed out, on the monotonic clock; 0 before.
        is_settled: Whether somebody has said what became of it.
        is_given_back: Whether it was others' again before its consumer said anything.
    """

    __slots__ = (
        *("_envelope", "_recorded", "_settler"),
        *(
            "attempts",
            "body",
            "expires",
            "fields",
            "is_given_back",
            "is_read",
            "is_settled",
            "key",
            "partition",
            "started",
        ),
    )

    def __init__(
        self,
        partition: int,
        given: tuple[bytes, int, Sequence[bytes]],
        settler: Settler,
        expires: float,
        body: RawBody | None = None,
        known: Envelope | None = None,
        is_read: bool = False,
    ) -> None:
        self.partition = partition
        self.key, self.attempts, self.fields = given
        self.expires, self._settler, self.body, self._envelope = expires, settler, body, known
        self._recorded: Recorded | None = None
        self.is_read = is_read
        self.is_settled = self.is_given_back = False
        self.started = 0.0

    def read(self, keyspace: Keyspace) -> None:
        """See to it that the feed says what it can; nothing else asks for the envelope before.

        Raises:
            CorruptEntryError: When somebody else has written to the feed.
        """
        if not self.is_read:
            check_fields(keyspace, self.partition, self.key, self.fields)
            self.is_read = True

    def check(self) -> None:
        """Hold what the feed says against the event, where that was fetched.

        Raises:
            EnvelopeMismatchError: When it says something else.
            CorruptEntryError: When the event itself cannot be read.
        """
        if self.body is None:
            return
        try:
            found = self.recorded
        except CiphertextError:
            raise
        except EncryptionError:
            # No fault of the event: who handles it meets that again, and may try again.
            found = None
        if self.is_encrypted:
            # What the feed tells of it is told without the key.
            found = recorded(self.body)
        if found is not None and not tells_of(self.fields, self.body[0], found):
            self.envelope.check(found)

    @property
    def envelope(self) -> Envelope:
        """What the feed says of the event.

        Raises:
            CorruptEntryError: When somebody else has written that; never of a delivery that was handed out.
        """
        if self._envelope is None:
            if not self.is_read:
                raise CorruptEntryError(
                    self.key.decode(), "no writer of this library made it, and it is about no event"
                )
            self._envelope = envelope_of(self.partition, self.key, self.fields)
        return self._envelope

    @property
    def link(self) -> bytes:
        """The link of the event as the feed has it; empty when somebody else has written there."""
        return link_of(self.fields)

    @property
    def session_id(self) -> str:
        """The session."""
        return self.envelope.session_id

    @property
    def id(self) -> EventId:
        """Where the event stands in its session."""
        return self.envelope.id

    @property
    def recorded(self) -> Recorded | None:
        """The event as the log holds it; None without `bodies=True`, and when its session was deleted since.

        Raises:
            CorruptEntryError: Never of a delivery that was handed out.
            EncryptionError: When its content is encrypted, and the keys cannot be had for now.
        """
        if self._recorded is None and self.body is not None:
            body = self._settler.opened(self.session_id, self.body) if is_encrypted(self.body) else self.body
            self._recorded = recorded(body)
        return self._recorded

    @property
    def event(self) -> Event | None:
        """What happened, with its content; see `recorded`."""
        recorded = self.recorded
        return None if recorded is None else recorded.event

    @property
    def is_encrypted(self) -> bool:
        """Whether the content of the event is encrypted, as its session or the feed has it."""
        return is_encrypted(self.body) if self.body is not None else _SEALED in self.fields[FACTS]

    def _ack(self, confirm: bool) -> Future[bool] | None:
        if self.is_settled:
            return _refused() if confirm and self.is_given_back else None
        self.is_settled = True
        return self._settler.ack(self, confirm)

    def _fail(self, what: str, why: object) -> None:
        if not self.is_settled:
            self.is_settled = True
            self._settler.fail(self, what, Failure.of(why, self._settler.keeps_texts))

    def _check(self, kept: bool) -> None:
        if not kept:
            raise DeliveryLostError(self.session_id, self.id, self._settler.consumer)

    def __repr__(self) -> str:
        if self._envelope is None and not self.is_read:
            return f"<delivery of entry {self.key!r}, attempt {self.attempts}>"
        said = self.envelope
        return f"<delivery of {said.type} {said.id} of {said.session_id!r}, attempt {self.attempts}>"


def _refused() -> Future[bool]:
    future: Future[bool] = Future()
    future.set_result(False)
    return future


class Delivery(BaseDelivery):
    """See `BaseDelivery`; settled from a coroutine."""

    __slots__ = ()

    async def ack(self, *, confirm: bool = False) -> None:
        """Say that it is done: it is not delivered to this group again.

        Acks travel to the server in the background, many in one round trip; leaving the subscription waits for them.
        Should the process die before, the event is delivered once more, as always with at-least-once.

        Args:
            confirm: Wait for the server's word.

        Raises:
            DeliveryLostError: When it took so long that another consumer has it, which cannot be within `claim_after`;
                or when it was given back, as the subscription has ended.
        """
        if future := self._ack(confirm):
            self._check(await asyncio.wrap_future(future))

    async def fail(self, why: object) -> None:
        """Say that it could not be handled: it is tried again after a pause, and parked after the last attempt.

        Args:
            why: The exception, of which type and place are kept, and the text with `keep_errors="full"`; or a reason,
                which is kept once it is parked, until the session's content is erased or deleted.
        """
        self._fail("nack", why)

    async def park(self, why: object) -> None:
        """Give it up at once: it is parked, and others take its place; `why` as for `fail`."""
        self._fail("park", why)


class SyncDelivery(BaseDelivery):
    """See `BaseDelivery`; settled from a thread."""

    __slots__ = ()

    def ack(self, *, confirm: bool = False) -> None:
        """See `Delivery.ack`."""
        if future := self._ack(confirm):
            self._check(future.result())

    def fail(self, why: object) -> None:
        """See `Delivery.fail`."""
        self._fail("nack", why)

    def park(self, why: object) -> None:
        """See `Delivery.park`."""
        self._fail("park", why)
