"""What a bundle holds, for whoever wrote it; and what it takes to put seals into one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


class SealedHead(Protocol):
    """A head that a seal covers, with what proves it."""

    @property
    def record(self) -> bytes:
        """The leaf, one line of JSON."""

    @property
    def checkpoint(self) -> str:
        """The signed checkpoint that covers it."""

    def to_text(self) -> str:
        """The proof, as C2SP tlog-proof has it."""


class SealSource(Protocol):
    """Finds what seals say of a session."""

    def __call__(self, session_id: str) -> SealedHead | None:
        """What proves its newest sealed head; None if no seal has it."""


@dataclass(frozen=True, slots=True)
class BundledSession:
    """A session that was written to a bundle.

    Attributes:
        path: Where it stands there.
        session_id: Its id.
        root: The session id that its chain begins with: another one in forks.
        revision: How many events it had.
        link: The hash chain at the last of them, base64url.
        events: How many of them are in the bundle.
        withheld: Of how many the content was left out.
        erased: Of how many the content was erased before.
        sealed: The size of the log of seals that covers it; None if none does.
        problems: What is not as it was written, a line each: the bundle shows it to whoever verifies it.
    """

    path: str
    session_id: str
    root: str
    revision: int
    link: str
    events: int
    withheld: int
    erased: int
    sealed: int | None
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its line of the manifest."""
        names = ("path", "session_id", "root", "revision", "link", "events", "withheld", "erased", "sealed")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """What a bundle holds.

    Attributes:
        created_at: When it was made, UTC.
        sessions: The sessions in it.
        missing: Sessions that were to be in it, and were deleted before their turn came.
        tombstones: Of a backup, how many deletions it knows of,
        forgotten: and how many older ones had no room in it.
        more: What the further files hold, where it took several.
    """

    created_at: datetime
    sessions: tuple[BundledSession, ...]
    missing: tuple[str, ...] = ()
    tombstones: int = 0
    forgotten: int = 0
    more: tuple[BundleSummary, ...] = ()

    @property
    def events(self) -> int:
        """How many events are in it."""
        return sum(one.events for one in self.sessions)
