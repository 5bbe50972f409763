"""The hash chain of a session, recomputed event by event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import chain
from ..codec import Entry, parse
from ..errors import CorruptEntryError
from ..event_log.linking import Chained
from ..event_log.sealed import Position
from ..events import PayloadErased
from ..ids import START, EventId
from ..server.border import text
from .lineage import Lineage, retained_of


class Checker:
    """Walks the chain; after a problem it goes on from what is stored, so that one change is one problem.

    Args:
        lineage: Where the session says that it comes from.
    """

    def __init__(self, lineage: Lineage) -> None:
        self.count, self.last, self.problems = 0, "", list[str]()
        self._lineage, self._at = lineage, Chained.start(lineage.root)
        self._erased: dict[str, str] = {}

    @property
    def id(self) -> EventId:
        """The event checked last."""
        return self._at.id

    @property
    def revision(self) -> int:
        """Of the event checked last."""
        return self.id.revision

    @property
    def link(self) -> str:
        """The hash chain there, base64url; empty before the first."""
        return self._at.link if self.id != START else ""

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
            self._at = Chained.of(entry)

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
        if not entry.is_erased and not chain.exactly(entry.salt, chain.SALT_BYTES):
            self.problems.append(f"event {entry.id} ({entry.header[0]}) has no salt of {chain.SALT_BYTES} bytes")
        elif not self._at.links(entry):
            self.problems.append(f"event {entry.id} ({entry.header[0]}) is not what was written: its link differs")
        elif not self._at.continues(entry):
            self.problems.append(
                f"event {entry.id} ({entry.header[0]}) was written after event {entry.base}, "
                f"but follows {self.id}: a time was changed"
            )

    def _check_off(self, entry: Entry) -> None:
        if entry.header[0] == PayloadErased.TYPE:
            for id_ in PayloadErased(retained_of(entry)).erased:
                self._erased.pop(str(id_), None)
        if entry.is_erased:
            self._erased[str(entry.id)] = entry.header[0]

    def _pass_over(self, fields: Mapping[Any, Any]) -> None:
        """Go on behind an entry that cannot be read, with what of it can be."""
        try:
            self._at = Chained(EventId.parse(self.last), text(fields.get(b"base", "")), text(fields.get(b"link", "")))
        except ValueError:
            return
