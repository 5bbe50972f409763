"""What is about a person, as JSON Lines: one object a line, session by session."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from itertools import chain
from typing import Any, Protocol

import orjson

from ..codec import RawEntry, recorded
from ..errors import CorruptEntryError, EncryptionError
from ..event_log import EventLog, Tombstone
from ..ids import EventId
from .subject_places import SubjectPlace

FORMAT, VERSION = "strands-session-log/subject", 1


class ByteWriter(Protocol):
    """Takes bytes, as binary files do."""

    def write(self, data: bytes, /) -> object:
        """Take some."""


class SubjectExport:
    """Writes what is about a person, and counts it.

    Args:
        log: Where it is.
        file: Where to.

    Attributes:
        sessions: How many sessions were written, as a whole or in part.
        events: How many events.
        stored_values: How many stored values.
        unreadable: How many events and stored values could not be read: damaged, or encrypted and without their key.
    """

    def __init__(self, log: EventLog, file: ByteWriter) -> None:
        self._log, self._file = log, file
        self.sessions = self.events = self.stored_values = self.unreadable = 0

    def begin(self) -> None:
        """The first line: what this is. It does not name the person."""
        now = datetime.now(timezone.utc).isoformat()
        self._line("export", format=FORMAT, version=VERSION, exported_at=now, namespace=self._log.keyspace.namespace)

    def session(self, session_id: str, events: Sequence[EventId] | None, held: bool) -> None:
        """A session, or those of its events that are about the person; a line each."""
        info = self._log.listing.session(session_id)
        if info is None:
            return
        self.sessions += 1
        told = info.to_json() if events is None else {"session_id": session_id}
        told = {name: value for name, value in told.items() if name not in ("last_message", "cursor")}
        self._line("session", **{**told, "held": held, "scope": "session" if events is None else "events"})
        self._write_events(session_id, chain.from_iterable(self._log.opened_pages(session_id, is_strict=False)), events)
        if events is None:
            for name, text in self._log.subjects.error_texts(session_id).items():
                self._line("parked_error", session_id=session_id, parked=name, text=text)

    def archived(self, place: SubjectPlace, entries: Iterable[RawEntry]) -> None:
        """What an archive has of a session, or those of its events that are about the person; a line each."""
        self.sessions += 1
        scope = "session" if place.events is None else "events"
        self._line("session", session_id=place.name, held=False, scope=scope, archived=place.where)
        self._write_events(place.name, entries, place.events)

    def _write_events(self, session_id: str, entries: Iterable[RawEntry], events: Sequence[EventId] | None) -> None:
        wanted = None if events is None else set(events)
        for entry in entries:
            try:
                found = recorded(entry)
            except CorruptEntryError:
                self.unreadable += 1
                continue
            if wanted is None or found.id in wanted:
                self.events += 1
                self.unreadable += found.event.is_sealed
                told = {**found.to_json(), "erased": found.event.is_erased}
                self._line("event", session_id=session_id, **told)

    def missing(self) -> None:
        """Something that is about the person, and cannot be read at all."""
        self.unreadable += 1

    def stored(self, key: str, value: bytes | None) -> None:
        """A stored value."""
        if value is None:
            return
        try:
            opened = self._log.cipher.open_stored(self._log.keyspace.namespace, key, value)
        except EncryptionError:
            self.unreadable += 1
            return
        self.stored_values += 1
        self._line("storage", key=key, data_base64=base64.b64encode(opened).decode())

    def tombstone(self, one: Tombstone) -> None:
        """What is left of a deleted session."""
        self._line("tombstone", **one.to_json())

    def end(self) -> None:
        """The last line: how much there was, so that one sees that nothing is missing."""
        counts = {"sessions": self.sessions, "events": self.events, "stored_values": self.stored_values}
        self._line("end", **counts, unreadable=self.unreadable)

    def _line(self, kind: str, **told: Any) -> None:
        self._file.write(orjson.dumps({"kind": kind, **told}, option=orjson.OPT_APPEND_NEWLINE))
