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
            found = {entry[0]: entry for entry in entries}
            for id_, delivery in zip(stretch.ids, stretch.deliveries, strict=True):
                delivery.body = found.get(id_)

    def _read(self, stretches: Sequence[_Stretch]) -> list[Sequence[RawEntry]]:
        keys = [self._keyspace.session(stretch.session_id).events for stretch in stretches]
        with connection_to(self._client, keys[0]) as node:
            pipeline = node.pipeline(transaction=False)
            for key, (_, ids, _) in zip(keys, stretches, strict=True):
                # The name as bytes: the driver then leaves the reply as it comes.
                pipeline.execute_command(b"XRANGE", key, ids[0], ids[-1], NEVER_DECODE=True)
            return list(pipeline.execute())


def _stretches(deliveries: Iterable[BaseDelivery]) -> list[_Stretch]:
    """Nearly always what a session told of in one batch follows each other."""
    open_: dict[bytes, tuple[int, _Stretch]] = {}
    found: list[_Stretch] = []
    for one in deliveries:
        if (event := one.about) is None:
            continue
        session, id_ = event
        revision = int(id_.rpartition(b"-")[2])
        last, stretch = open_.get(session, (-1, None))
        if stretch is None or revision != last + 1:
            stretch = _Stretch(session.decode(), [], [])
            found.append(stretch)
        stretch.ids.append(id_)
        stretch.deliveries.append(one)
        open_[session] = (revision, stretch)
    return found
