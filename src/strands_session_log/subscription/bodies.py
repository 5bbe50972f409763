"""The content of events that the feed told of, many in one round trip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..codec import RawEntry
from ..event_log.connection import connection_to
from ..keys import Keyspace
from ..server.border import Client, insist
from .delivery import BaseDelivery


class _Stretch(NamedTuple):
    """Deliveries of events of one session that follow each other; they are read at once."""

    session_id: str
    ids: list[bytes]
    deliveries: list[BaseDelivery]


class Bodies:
    """Fetches content.

    Args:
        client: Any sync client.
        keyspace: How the namespace is laid out.
        retry_for: For how many seconds a server that is away is waited for.
    """

    def __init__(self, client: Client, keyspace: Keyspace, retry_for: float) -> None:
        self._client, self._keyspace, self._retry_for = client, keyspace, retry_for

    def add_to(self, deliveries: Iterable[BaseDelivery]) -> None:
        """Give deliveries of one partition the content of their events; those whose session is gone stay without."""
        stretches = _stretches(deliveries)
        if not stretches:
            return
        for stretch, entries in zip(stretches, insist(lambda: self._read(stretches), self._retry_for), strict=True):
            _hand_out(stretch, entries)

    def _read(self, stretches: Sequence[_Stretch]) -> list[Sequence[RawEntry]]:
        keys = [self._keyspace.session(stretch.session_id).events for stretch in stretches]
        with connection_to(self._client, keys[0]) as node:
            pipeline = node.pipeline(transaction=False)
            for key, (_, ids, _) in zip(keys, stretches, strict=True):
                # The name as bytes: the driver then leaves the reply as it comes.
                pipeline.execute_command(b"XRANGE", key, ids[0], ids[-1], NEVER_DECODE=True)
            return list(pipeline.execute())


def _hand_out(stretch: _Stretch, entries: Sequence[RawEntry]) -> None:
    if len(entries) == len(stretch.ids) and entries[0][0] == stretch.ids[0]:
        for delivery, entry in zip(stretch.deliveries, entries, strict=True):
            delivery.body = entry
        return
    # Some are gone: the session was deleted, and perhaps begun anew.
    found = {entry[0]: entry for entry in entries}
    for id_, delivery in zip(stretch.ids, stretch.deliveries, strict=True):
        delivery.body = found.get(id_)


def _stretches(deliveries: Iterable[BaseDelivery]) -> list[_Stretch]:
    """Nearly always what a session told of in one batch follows each other."""
    ends: dict[bytes, tuple[int, _Stretch]] = {}
    found: list[_Stretch] = []
    for delivery in deliveries:
        if (about := delivery.about) is None:
            continue
        session, id_ = about
        revision = int(id_[id_.rindex(b"-") + 1 :])
        end = ends.get(session)
        if end is None or revision != end[0] + 1:
            stretch = _Stretch(session.decode(), [], [])
            found.append(stretch)
        else:
            stretch = end[1]
        stretch.ids.append(id_)
        stretch.deliveries.append(delivery)
        ends[session] = (revision, stretch)
    return found
