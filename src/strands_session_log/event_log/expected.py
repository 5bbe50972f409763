"""What a writer expects of a session; an append is refused when it is not so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar, TypeAlias

from ..errors import ConcurrentWriteError, SessionLostError
from ..ids import START, EventId


@dataclass(frozen=True, slots=True)
class AnyPosition:
    """Nothing is expected: the unfenced lane, where an append always lands."""

    argument: ClassVar[str] = ""
    """As the append script takes it."""


@dataclass(frozen=True, slots=True)
class NoSession:
    """The session must not exist yet."""

    argument: ClassVar[str] = "absent"
    """As the append script takes it."""


@dataclass(frozen=True, slots=True)
class SessionAt:
    """The session must stand at exactly this revision.

    Attributes:
        revision: How many events it must have.
    """

    revision: int

    @property
    def argument(self) -> str:
        """As the append script takes it."""
        return f"revision {self.revision}"


@dataclass(frozen=True, slots=True)
class AgentAt:
    """One agent must not have moved; the rest of the session may: the fenced lane of agent turns.

    Attributes:
        agent: The agent.
        revision: Where it last moved: the event's id, which no other history shares, or only its revision; 0 when it
            never did; None to leave that open.
        next_message: The index its next message would have; None to leave that open.
    """

    agent: str
    revision: EventId | int | None = None
    next_message: int | None = None

    @property
    def argument(self) -> str:
        """As the append script takes it."""
        moved, index = self.revision, self.next_message
        at = f"{moved.ms}-{moved.revision}" if type(moved) is EventId else "" if moved is None else moved
        return f"agent {at} {'' if index is None else index} {self.agent}"


@dataclass(frozen=True, slots=True)
class MultiAgentAt:
    """One graph or swarm must not have moved; the rest of the session may.

    Attributes:
        id: The graph or swarm.
        moved: The event with which it moved last, see `EventLog.moved`; `START` when it never did.
    """

    id: str
    moved: EventId

    @property
    def argument(self) -> str:
        """As the append script takes it."""
        return f"multi_agent {self.moved}  {self.id}"


@dataclass(frozen=True, slots=True)
class InLife:
    """The session must be the one the writer knows, however far it has got: not one begun under its id since.

    Attributes:
        life: Which one that is, see `EventLog.life`.
    """

    life: str

    @property
    def argument(self) -> str:
        """As the append script takes it."""
        return f"life {self.life}"


def begun(life: str, at: EventId) -> str:
    """The name of a life that was to begin, once it has begun with this event."""
    return f"{at.ms}{life}" if life.startswith(" ") else life


def follows(life: str, before: str) -> bool:
    """Whether a life is another one's that had not begun: nothing was deleted between them."""
    return before.startswith(" ") and life.partition(" ")[2] == before[1:]


Expected: TypeAlias = "AnyPosition | NoSession | SessionAt | AgentAt | MultiAgentAt | InLife"

ANY = AnyPosition()
NO_SESSION = NoSession()


def conflict(session_id: str, expected: Expected, what: str, agent: str, actual: str) -> ConcurrentWriteError:
    """Make an error of a refusal of the append script.

    Args:
        session_id: The session.
        expected: What the writer expected.
        what: Which of it did not hold: `revision`, `agent`, `multi_agent`, `next_message` or `message`; `session` if
            there is none.
        agent: The agent concerned, empty for the session.
        actual: The revision, event id or message index found, as text.
    """
    # A graph that is not in the session has never been: it is another session.
    if what == "session" or (what == "multi_agent" and actual == str(START)):
        return SessionLostError(session_id, {name: str(value) for name, value in asdict(expected).items() if value})
    return ConcurrentWriteError(session_id, *_describe(expected, what, agent, actual))


def _describe(expected: Expected, what: str, agent: str, actual: str) -> tuple[dict[str, object], dict[str, object]]:
    """Expected and actual, with the same keys."""
    if what == "message":
        return {"agent": agent, "message": "none"}, {"agent": agent, "message": _found(actual)}
    match expected:
        case AgentAt(next_message=next_message) if what == "next_message":
            return {"agent": agent, what: next_message}, {"agent": agent, what: _found(actual)}
        case MultiAgentAt(id=id_, moved=moved):
            return {"multi_agent": id_, "moved": str(moved)}, {"multi_agent": id_, "moved": actual}
        case AgentAt(revision=EventId() as moved):
            return {"agent": agent, "moved": str(moved)}, {"agent": agent, "moved": actual}
        case AgentAt(revision=revision):
            return {"agent": agent, "revision": revision}, {
                "agent": agent,
                "revision": _found(actual.rpartition("-")[2]),
            }
        case SessionAt(revision):
            return {"revision": revision}, {"revision": _found(actual)}
    return {"revision": 0}, {"revision": _found(actual)}


def _found(actual: str) -> int | str:
    """A number as one; what somebody else has put into the head, as it stands there."""
    return int(actual) if actual.removeprefix("-").isdecimal() else actual
