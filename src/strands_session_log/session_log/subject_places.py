"""Where something is about a person, and what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from ..ids import EventId

PlaceKind: TypeAlias = Literal["session", "storage", "archive", "tombstone"]
SubjectOutcome: TypeAlias = Literal["erased", "deleted", "shredded", "reduced", "held", "left", "due", "unfinished"]
"""`due`: a dry run would have erased it otherwise. `unfinished`: something was written meanwhile, so erase again.
`shredded`: its key is gone, and nobody can read it. `left`: it stays, and a note says why."""
DONE: tuple[SubjectOutcome, ...] = ("erased", "deleted", "shredded", "reduced")


@dataclass(frozen=True, slots=True)
class SubjectPlace:
    """Something that is about a person.

    Attributes:
        kind: A session, a stored value (`ValkeyStorage`), what an archive has of a session, or what is left of one that
            was deleted.
        name: The session's id, or the key of the value.
        events: Which events of the session are; None for all of it.
        held: Whether the session is held, so that nothing of it goes.
        named_in: Where the person's name, as it was given, stands in the clear, and no erasure takes it away.
        forks: Forks of the session that are not said to be about the person: of them only what they share goes.
        where: Where the archive has it; empty if none has.
    """

    kind: PlaceKind
    name: str
    events: tuple[EventId, ...] | None = None
    held: bool = False
    named_in: tuple[str, ...] = ()
    forks: tuple[str, ...] = ()
    where: str = ""

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        events = None if self.events is None else [str(one) for one in self.events]
        return {**asdict(self), "events": events}


@dataclass(frozen=True, slots=True)
class SubjectStep:
    """What became of one place.

    Attributes:
        place: The place.
        outcome: What became of it.
        events: Of how many events the content went, or would go.
        notes: What stays all the same, in words.
    """

    place: SubjectPlace
    outcome: SubjectOutcome
    events: int = 0
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        told = {"outcome": self.outcome, "erased_events": self.events, "notes": list(self.notes)}
        return {**self.place.to_json(), **told}


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """What became of all that is about a person.

    Attributes:
        steps: Place by place.
    """

    steps: tuple[SubjectStep, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left but what the notes name: nothing held or unfinished, and it was no dry run."""
        return all(one.outcome in DONE for one in self.steps)

    def count(self, outcome: SubjectOutcome) -> int:
        """Of how many places this became."""
        return Counter(one.outcome for one in self.steps)[outcome]


def named_in(subject: str, texts: dict[str, str]) -> tuple[str, ...]:
    """In which of some texts the person's name stands, as it was given."""
    wanted = subject.casefold()
    return tuple(where for where, text in texts.items() if wanted in text.casefold())
