"""Reading a session stream page by page, as fast as the driver lets us: bytes, undecoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..codec import RawEntry, fields_of, id_of
from ..encryption import Cipher, KeyProvider
from ..errors import LogForkedError, ServerRefusedError
from ..ids import EventId
from ..instrumentation.hooks import hooks
from ..server import Store
from .diagnosis import diagnosed, parsed, raise_diagnosed
from .instrumented import read_told

_FIRST_PAGE = 32
_MAX_PAGE = 1000
_PAGE_BYTES = 4 * 1024 * 1024
SMALL_FIELDS = 256
"""About as many bytes as there are in all fields but the last, the body."""
_MAX_SEQUENCE = "18446744073709551615"


class EventReader:
    """Reads the session streams of one namespace; one for any number of threads.

    Attributes:
        cipher: Opens content that is encrypted.
    """

    def __init__(self, store: Store, keys: KeyProvider | None) -> None:
        """See `EventLog`."""
        self._store, self.cipher = store, Cipher(keys, self._origin)

    def pages(self, session_id: str, start: str, end: str) -> Iterator[Sequence[RawEntry]]:
        """See `EventLog.pages`."""
        try:
            yield from self._read(session_id, start, end)
        except (ServerRefusedError, ValueError) as error:
            raise_diagnosed(error, self._store, session_id)

    def opened_pages(
        self, session_id: str, start: str = "-", end: str = "+", *, is_strict: bool = True
    ) -> Iterator[Sequence[RawEntry]]:
        """The same with content opened that is encrypted, see `Cipher.opened`; what verifies and copies reads `pages`.

        Raises:
            EncryptionError: When the key of some content is not to be had, if that is an error.
        """
        for page in self.pages(session_id, start, end):
            yield self.cipher.opened(session_id, page, is_strict=is_strict)

    def _origin(self, session_id: str) -> tuple[str, bool]:
        """The session that a session's chain begins with, itself if it is no fork; and whether content is encrypted."""
        key = self._store.keyspace.session(session_id).head
        with diagnosed(self._store, session_id):
            root, sealed = self._store.fields(key, "root", "sealed")
        return session_id if root is None else parsed(key, "root", root, str), sealed is not None

    def _read(self, session_id: str, start: str, end: str) -> Iterator[Sequence[RawEntry]]:
        count = _FIRST_PAGE
        page = self._page(session_id, start, end, count)
        yield page
        while len(page) == count and _text(page[-1][0]) != end:
            last, count = page[-1], next_count(page)
            page = self._page(session_id, _text(last[0]), end, count + 1)
            if [place(entry) for entry in page[:1]] != [place(last)]:
                raise LogForkedError(session_id, id_of(last[0]))
            page = page[1:]
            yield page

    def _page(self, session_id: str, start: str, end: str, count: int) -> list[RawEntry]:
        key = self._store.keyspace.session(session_id).events
        if hooks.active:
            return read_told(lambda: fetch(self._store, key, start, end, count))
        return fetch(self._store, key, start, end, count)


def fetch(store: Store, key: str, start: str, end: str, count: int, command: bytes = b"XRANGE") -> list[RawEntry]:
    """Some raw entries of a stream; of the newest first with `XREVRANGE`."""
    page: list[RawEntry] = store.command(command, key, start, end, "COUNT", count)
    return page


def start_after(after: EventId) -> str:
    """Where a read begins that is to begin after an id; its revision is 0 when only its time counts."""
    if after.revision == 0 and after.ms:
        return f"({after.ms}-{_MAX_SEQUENCE}"
    return f"({after}" if after.revision else "-"


def end_at(until: EventId | None) -> str:
    """Where a read ends that is to end with an id."""
    if until is None:
        return "+"
    return str(until) if until.revision else str(until.ms)


def place(entry: RawEntry) -> tuple[Any, Any]:
    """Id and link: what an entry keeps when it is erased, and no other has."""
    return entry[0], fields_of(entry[1]).get(b"link")


def next_count(page: Sequence[RawEntry], page_bytes: int = _PAGE_BYTES) -> int:
    """As many entries as fit a few megabytes if all are like the largest of the last page, at most twice as many.

    Messages range from bytes to megabytes, and a session of small ones may turn to large ones at any time.
    """
    largest = max(len(fields[-1]) for _, fields in page) + SMALL_FIELDS
    return max(1, min(_MAX_PAGE, 2 * len(page), page_bytes // largest))


def size_of(entry: RawEntry) -> int:
    """How many bytes its values have."""
    return sum(map(len, entry[1][1::2]))


def _text(value: bytes) -> str:
    return value.decode()
