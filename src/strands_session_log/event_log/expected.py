"""What a writer expects of a session; an append is refused when it is not so."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class AnyPosition(NamedTuple):
    """Nothing is expected: the unfenced lane, where an append always lands."""

    def arguments(self) -> tuple[str, str, str, str]:
        """As the append script takes it."""
        return ("any", "", "", "")


class NoSession(NamedTuple):
    """The session must not exist yet."""

    def arguments(self) -> tuple[str, str, str, str]:
        """As the append script takes it."""
        return ("absent", "", "", "")


class SessionAt(NamedTuple):
    """The session must stand at exactly this revision.

    Attributes:
        revision: How many events it must have.
    """

    revision: int

    def arguments(self) -> tuple[str, str, str, str]:
        """As the append script takes it."""
        return ("revision", "", str(self.revision), "")


class AgentAt(NamedTuple):
    """One agent must not have moved; the rest of the session may: the fenced lane of agent turns.

    Attributes:
        agent: The agent.
        revision: The session revision at which it last moved, 0 when never; None to leave that open.
        next_message: The index its next message would have; None to leave that open.
    """

    agent: str
    revision: int | None = None
    next_message: int | None = None

    def arguments(self) -> tuple[str, str, str, str]:
        """As the append script takes it."""
        return ("agent", self.agent, _number(self.revision), _number(self.next_message))


Expected: TypeAlias = "AnyPosition | NoSession | SessionAt | AgentAt"

ANY = AnyPosition()
NO_SESSION = NoSession()


def describe(expected: Expected, what: str, agent: str, actual: int) -> tuple[dict[str, object], dict[str, object]]:
    """Put a refusal of the append script into words.

    Args:
        expected: What the writer expected.
        what: Which of it did not hold: `revision`, `agent`, `next_message` or `message`.
        agent: The agent concerned, empty for the session.
        actual: The revision or message index found.

    Returns:
        Expected and actual, with the same keys.
    """
    if what == "message":
        return {"agent": agent, "message": "none"}, {"agent": agent, "message": actual}
    match expected:
        case AgentAt(revision=revision, next_message=next_message):
            name, wanted = ("revision", revision) if what == "agent" else (what, next_message)
            return {"agent": agent, name: wanted}, {"agent": agent, name: actual}
        case SessionAt(revision):
            return {"revision": revision}, {"revision": actual}
    return {"revision": 0}, {"revision": actual}


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
