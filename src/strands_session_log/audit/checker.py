"""The hash chain of a session, recomputed event by event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import chain
from ..codec import Entry, parse
from ..errors import CorruptEntryError
from ..event_log.linking import link_after, loaded, raw
from ..event_log.sealed import Position
from ..events import PayloadErased
from ..ids import START, EventId
from ..server.border import text
from .lineage import Lineage


class Checker:
    """Walks the chain; after a problem it goes on from what is stored, so that one change is one problem.

    Args:
        lineage: Where the session says that it comes from.
    """

    def __init__(self, lineage: Lineage) -> None:
        self.count, self.last, self.id, self.link, self.problems = 0, "", START, "", list[str]()
        self._lineage, self._previous = lineage, chain.genesis(lineage.root)
        self._erased: dict[str, str] = {}

    @property
    def revision(self) -> int:
        """Of the event checked last."""
        return self.id.revision

    @property
    def erased(self) -> Iterable[tuple[str, str]]:
        """Id and type of events whose content was erased, and no `payload.erased` event names them."""
        return self._erased.items()

    def check(self, entry_id: bytes | str, fields: Mapping[Any, Any]) -> None:
        """Check the next entry."""
        self.count, self.last = self.count + 1, text(entry_id)
        try:
            entry = parse(entry_id, fields)
        except CorruptEntryError as error:
            self.problems.append(str(error))
            self._pass_over(fields)
        else:
            self._check_place(entry)
            self._check_content(entry)
            self._check_off(entry)
            self.problems += self._lineage.check(entry, self.id, self.link)
            self.id, self.link, self._previous = entry.id, entry.link, raw(entry.link)

    def compare(self, head: Position | str | None) -> str:
        """What is wrong with the head if the stream ends with the event checked last; nothing if it fits."""
        if isinstance(head, str):
            return head
        if head is None or head.id.revision != self.revision:
            found = "is missing" if head is None else f"stands at revision {head.id.revision}"
            return f"the stream ends at revision {self.revision}, but the session's head {found}"
        if head.id != self.id:
            return f"the stream ends with event {self.id}, but the session's head says {head.id}"
        return "" if head.link == self.link else f"the session's head has another link than event {self.id}"

    def _check_place(self, entry: Entry) -> None:
        if entry.id.revision != self.revision + 1:
            self.problems.append(f"revision {self.revision + 1} is missing before event {entry.id}")
        if entry.id.ms < self.id.ms:
            self.problems.append(f"event {entry.id} ({entry.header[0]}) is older than event {self.id} before it")

    def _check_content(self, entry: Entry) -> None:
        if raw(entry.link) != link_after(self._previous, entry):
            self.problems.append(f"event {entry.id} ({entry.header[0]}) is not what was written: its link differs")
        elif not entry.is_erased and len(raw(entry.salt)) != chain.SALT_BYTES:
            # With part of the body as salt, or of the salt as body, the link stays the same.
            self.problems.append(f"event {entry.id} ({entry.header[0]}) has no salt of {chain.SALT_BYTES} bytes")

    def _check_off(self, entry: Entry) -> None:
        if entry.header[0] == PayloadErased.TYPE:
            named = loaded(entry.body).get("erased")
            for id_ in named if isinstance(named, list) else ():
                self._erased.pop(str(id_), None)
        if entry.is_erased:
            self._erased[str(entry.id)] = entry.header[0]

    def _pass_over(self, fields: Mapping[Any, Any]) -> None:
        """Go on behind an entry that cannot be read, with what of it can be."""
        try:
            self.id = EventId.parse(self.last)
            self.link = text(fields.get(b"link", ""))
        except ValueError:
            return
        self._previous = raw(self.link)
