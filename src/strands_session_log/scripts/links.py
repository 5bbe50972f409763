"""The script that answers which links stand where somebody has written down that they did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..server import Store, number
from . import LINKS


class LinksReply(NamedTuple):
    """What stands under ids that were written down elsewhere.

    Attributes:
        revision: How many events the session has, by its head; 0 where it has none.
        predecessor: What its head says of the session that had the id before.
        tombstone: What is left of those that were deleted, as it stands there.
        links: Of each id the link there; empty where there is none.
    """

    revision: int
    predecessor: str
    tombstone: bytes
    links: Sequence[str]


def links(store: Store, asked: Sequence[tuple[str, Sequence[str]]]) -> Iterator[LinksReply]:
    """The links that stand under ids of sessions, in one round trip.

    Args:
        store: Where they are.
        asked: Sessions, each with ids.
    """
    calls = []
    for session_id, ids in asked:
        keys = store.keyspace.session(session_id)
        calls.append(((keys.events, keys.head, keys.tombstones), (session_id, *ids)))
    for revision, predecessor, tombstone, found in store.run_many(LINKS, calls):
        told = predecessor.decode(errors="replace")
        yield LinksReply(number(revision), told, tombstone, [link.decode(errors="replace") for link in found])
