"""Seals and bundles: which seal goes into one, and which sessions have changed since a seal."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from ..event_log import EventLog
from ..ids import EventId
from ..seals import SealedLog
from .bundled import SealedHead

_PAGE = 1_000


def is_of_this_life(seal: SealedHead, lives: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a sealed head is of the session that has the id now: not of one that was deleted, nor of its deletion.

    Args:
        seal: The sealed head.
        lives: What is left of earlier sessions of the id.
    """
    record = orjson.loads(seal.record)
    if record.get("deleted"):
        return False
    sealed = EventId.parse(record["id"])
    return not any(int(life["deleted"]) >= sealed.ms for life in lives)


class SealedBefore:
    """What was sealed up to a seal: an incremental backup has what is not as it was then.

    Args:
        log: Where the sessions are.
        seals: The log of seals.
        size: How many records it had; all it has if left out.

    Raises:
        SealMismatchError: When it is of another namespace.
        SealNotFoundError: When it never had so many.
    """

    def __init__(self, log: EventLog, seals: SealedLog, size: int | None = None) -> None:
        seals.check_namespace(log.keyspace.namespace)
        self._log, self._seals, self._size = log, seals, len(seals) if size is None else size
        # It has them, and they are what was signed.
        seals.consistency(self._size)

    def to_json(self) -> dict[str, Any]:
        """As a manifest has it."""
        return {"checkpoint": self._size, "root": b64encode(self._seals.root_at(self._size)).decode()}

    def changed(self) -> Iterator[str]:
        """The sessions that do not stand where they stood then."""
        known, names = self._heads(), self._log.listing.session_ids()
        while page := list(islice(names, _PAGE)):
            heads = (self._log.keyspace.session(name).head for name in page)
            commands = [("HMGET", head, "ms", "revision", "link") for head in heads]
            replies = self._log.store.pipeline(commands, is_lenient=True)
            for name, reply in zip(page, replies, strict=True):
                if known.get(name) != _stands(reply):
                    yield name

    def _heads(self) -> dict[str, tuple[bytes, ...]]:
        found = dict[str, tuple[bytes, ...]]()
        for placed in self._seals.records():
            if placed.index >= self._size:
                break
            ms, revision = placed.record.id
            found[placed.record.session_id] = (b"%d" % ms, b"%d" % revision, placed.record.link.encode())
            if placed.record.is_deleted:
                del found[placed.record.session_id]
        return found


def _stands(reply: Any) -> tuple[Any, ...]:
    return tuple(reply) if isinstance(reply, Sequence) else ()
