"""What was said, for people: one page of HTML without scripts, written as the events are read."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from ..codec import RawEntry, recorded
from ..errors import CorruptEntryError


class TranscriptPage:
    """Writes the page of a session."""

    def __init__(self, session_id: str, write: Callable[[bytes], Any]) -> None:
        self._write = write
        write(f"<!DOCTYPE html>\n<html><head><title>{escape(session_id)}</title></head><body>\n".encode())

    def add(self, entry: RawEntry, is_erased: bool, is_withheld: bool) -> None:
        """One more event."""
        try:
            found = recorded(entry)
        except CorruptEntryError:
            return
        self._write(f"<p>{found.id} {escape(found.event.type)}</p>\n".encode())

    def close(self) -> None:
        """There are no more."""
        self._write(b"</body></html>\n")
