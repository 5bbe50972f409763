"""Whether encrypted content is what was written: what who has the key finds though the chain was computed anew."""

from __future__ import annotations

from ..codec import Entry, RawEntry
from ..encryption import Cipher, is_encrypted


class SealedContents:
    """The encrypted content of a session, looked at event by event.

    Args:
        cipher: Opens it; without its key, nothing is said of it.
        session_id: The session.
    """

    def __init__(self, cipher: Cipher, session_id: str) -> None:
        self._cipher, self._session_id = cipher, session_id
        self._before: RawEntry | None = None
        self._first = ""

    def problem(self, entry: RawEntry, found: Entry) -> str:
        """What is wrong with the content of the next event, which stands in the chain as it should."""
        before, self._before = self._before, entry
        if not is_encrypted(entry) or found.is_erased:
            is_plain = self._first and not found.is_erased
            return f"event {found.id} is not encrypted, though event {self._first} before it is" if is_plain else ""
        self._first = self._first or str(found.id)
        is_next = before is not None or found.id.revision == 1
        return self._cipher.problem(self._session_id, entry, before) if is_next else ""

    def head_problem(self, sealed: str, root: str) -> str:
        """What is wrong with what the head says of it.

        Args:
            sealed: The session whose key it is, as the head says; empty if it says nothing.
            root: The session that the chain begins with.
        """
        if self._first and sealed != root:
            return f"the session's head says that its key is that of {sealed!r}, not that of {root!r}"
        return ""
