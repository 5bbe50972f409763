"""The content of events that the feed told of, many in one round trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from ..codec import RawEntry
from ..errors import EnvelopeMismatchError, ServerRefusedError, ServerUnavailableError
from ..feed import NO_EVENTS, surely_tell
from ..server import Store
from .delivery import ID, SESSION, BaseDelivery

_fields_of, _body_of = map(attrgetter, ("fields", "body"))
_MOST = 500
"""Of how many events the content is fetched at once."""


class _Stretch(NamedTuple):
    """Deliveries of events of one session that follow each other; they are read at once."""

    session_id: str
    ids: list[bytes]
    deliveries: list[BaseDelivery]


_Range: TypeAlias = "tuple[str, bytes, bytes, int]"
"""Entries of a session to be read: from which id, to which, and how many at most."""


Content: TypeAlias = "Sequence[RawEntry] | ServerRefusedError"
"""What a range had; of a key that is no stream, that error."""


class MissingContent(NamedTuple):
    """Content that is to be fetched.

    Attributes:
        stretches: Of which deliveries.
        commands: What fetches it, a command each.
    """

    stretches: list[_Stretch]
    commands: list[tuple[bytes | str | int, ...]]


class Rejected(NamedTuple):
    """A delivery whose content cannot be what the feed told of.

    Attributes:
        delivery: The delivery.
        error: Why.
    """

    delivery: BaseDelivery
    error: Exception


class Bodies:
    """Fetches content.

    Args:
        store: Where it is.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._most = store, _MOST

    def add_to(self, deliveries: Iterable[BaseDelivery]) -> list[Rejected]:
        """Give deliveries the content of their events; those whose session is gone stay without.

        What an attempt has fetched that then failed, the next one does not fetch again, and less at once: it may have
        been too much for the time there is.

        Args:
            deliveries: In a cluster, all of one partition.

        Returns:
            Those for which there is something else than what the feed told of.
        """
        left = [one for one in deliveries if one.body is None]
        rejected: list[Rejected] = []
        while left:
            most = self._most
            try:
                rejected += self._add_to(left[:most])
            except ServerUnavailableError:
                self._most = max(1, most // 2)
                raise
            self._most = min(_MOST, 2 * most)
            del left[:most]
        return rejected

    def wanted(self, deliveries: Sequence[BaseDelivery]) -> MissingContent | None:
        """What fetches the content of deliveries, for who asks the server for more; None where that is too much."""
        return self._wanted(deliveries) if len(deliveries) <= self._most else None

    def _wanted(self, deliveries: Sequence[BaseDelivery]) -> MissingContent:
        stretches = _stretches(deliveries)
        ranges = [(stretch.session_id, stretch.ids[0], stretch.ids[-1], len(stretch.ids)) for stretch in stretches]
        return MissingContent(stretches, self._commands(ranges))

    def hand_out(
        self, wanted: MissingContent, replies: Iterable[Sequence[RawEntry] | ServerRefusedError]
    ) -> list[Rejected]:
        """Give deliveries what was fetched; see `add_to`."""
        rejected: list[Rejected] = []
        for stretch, entries in zip(wanted.stretches, replies, strict=True):
            rejected += self._hand_out(stretch, entries)
        return rejected

    def _add_to(self, deliveries: Sequence[BaseDelivery]) -> list[Rejected]:
        wanted = self._wanted(deliveries)
        return self.hand_out(wanted, self._store.pipeline(wanted.commands, is_lenient=True))

    def _hand_out(self, stretch: _Stretch, entries: Content) -> list[Rejected]:
        if isinstance(entries, ServerRefusedError):
            return [Rejected(delivery, entries) for delivery in stretch.deliveries]
        if [entry[0] for entry in entries] != stretch.ids:
            return self._one_by_one(stretch)
        for delivery, entry in zip(stretch.deliveries, entries, strict=True):
            delivery.body = entry
        return []

    def _one_by_one(self, stretch: _Stretch) -> list[Rejected]:
        """Some are not there: the session was deleted, and perhaps begun anew, or there never were any."""
        ranges: list[_Range] = [(stretch.session_id, id_, id_, 1) for id_ in stretch.ids]
        first, *found = self._read([(stretch.session_id, b"-", b"+", 1), *ranges])
        rejected: list[Rejected] = []
        for delivery, entries in zip(stretch.deliveries, found, strict=True):
            if isinstance(entries, ServerRefusedError):
                rejected.append(Rejected(delivery, entries))
            elif entries:
                delivery.body = entries[0]
            elif first and not isinstance(first, ServerRefusedError) and _should_be_there(delivery, first[0]):
                differs = {"event": (str(delivery.id), "any of the session")}
                error = EnvelopeMismatchError(delivery.session_id, delivery.id, delivery.envelope.feed_id, differs)
                rejected.append(Rejected(delivery, error))
        return rejected

    def _read(self, ranges: Sequence[_Range]) -> list[Content]:
        """Entries of streams; of a key that is no stream, that error."""
        return self._store.pipeline(self._commands(ranges), is_lenient=True)

    def _commands(self, ranges: Sequence[_Range]) -> list[tuple[bytes | str | int, ...]]:
        keys = self._store.keyspace
        return [
            (b"XRANGE", keys.session(session_id).events, start, end, "COUNT", count)
            for session_id, start, end, count in ranges
        ]


def doubtful(deliveries: Iterable[BaseDelivery]) -> list[BaseDelivery]:
    """Those with content of which it is not certain that it is what the feed told of: each has to be looked at."""
    found = [one for one in deliveries if one.body is not None]
    are_sure = surely_tell(list(map(_fields_of, found)), list(map(_body_of, found)))
    return [one for one, is_sure in zip(found, are_sure, strict=True) if not is_sure]


def _should_be_there(delivery: BaseDelivery, first: RawEntry) -> bool:
    """Whether an event would stand in a stream that begins so: what is older was of a session that was deleted.

    That one was deleted, or brought back, is no event of it.
    """
    return delivery.id.ms > int(first[0].partition(b"-")[0]) and delivery.envelope.type not in NO_EVENTS


def _stretches(deliveries: Iterable[BaseDelivery]) -> list[_Stretch]:
    """Nearly always what a session told of in one batch follows each other."""
    found: dict[bytes, list[BaseDelivery]] = {}
    for delivery in deliveries:
        session = delivery.fields[SESSION]
        if session in found:
            found[session].append(delivery)
        else:
            found[session] = [delivery]
    return [stretch for session, several in found.items() for stretch in _of_session(session.decode(), several)]


def _of_session(session_id: str, deliveries: list[BaseDelivery]) -> Iterator[_Stretch]:
    ids = [delivery.fields[ID] for delivery in deliveries]
    start = 0
    is_whole = _revision(ids[-1]) - _revision(ids[0]) == len(ids) - 1
    for at in () if is_whole else range(1, len(ids)):
        if _revision(ids[at]) != _revision(ids[at - 1]) + 1:
            yield _Stretch(session_id, ids[start:at], deliveries[start:at])
            start = at
    yield _Stretch(session_id, ids[start:], deliveries[start:])


def _revision(event_id: bytes) -> int:
    return int(event_id.partition(b"-")[2])
