"""What a recorder had to give up, and how the log comes to know."""

from __future__ import annotations

from dataclasses import dataclass

from .. import events
from ..errors.quoting import type_and_place
from ..lifecycle import AgentOutbox


@dataclass(frozen=True, slots=True)
class RecorderStats:
    """What became of the things a recorder saw.

    Attributes:
        recorded: In the log.
        waiting: Not written yet.
        lost: Given up: the buffer was full, a value could not be stored, the session was deleted, or time was up.
        last_error: Why something was not written, the last time; empty when everything was.
    """

    recorded: int
    waiting: int
    lost: int
    last_error: str


class LossReport:
    """A step that tells in the log what was lost.

    Attributes:
        lost: How many.
        since: When the first of them was.
        reason: Why it was.
    """

    def __init__(self, lost: int, since: str, reason: str, agent_id: str) -> None:
        self.lost, self.since, self.reason = lost, since, reason
        self._event = events.RecordingGap({"lost": lost, "since": since, "error": reason}, agent_id)

    def __call__(self, outbox: AgentOutbox) -> None:
        """Put it in line."""
        outbox.queue([self._event])


class Losses:
    """Counts what was lost, and what of it the log does not tell yet.

    Attributes:
        total: Lost so far.
        untold: Of these, not in line to be told.
        last_reason: Why the last was lost.
    """

    def __init__(self, agent_id: str) -> None:
        self._agent_id = agent_id
        self.total = self.untold = 0
        self.last_reason = self._since = self._reason = ""
        self._refused = False

    def count(self, reason: Exception | str) -> None:
        """Count one; the log is told only of which type an error was, and where: its text may quote content."""
        told = text = str(reason)
        if isinstance(reason, Exception):
            told, text = type_and_place(reason), f"{type(reason).__name__}: {reason}"
        self.total, self.untold, self.last_reason = self.total + 1, self.untold + 1, text
        self._since, self._reason = self._since or events.now(), self._reason or told

    def drop(self, number: int, reason: str) -> None:
        """Count some of which the log is not to be told."""
        self.total, self.last_reason = self.total + number, reason if number else self.last_reason

    def gap(self, again: bool) -> LossReport | None:
        """What is to be told, which then counts as told; None when nothing is.

        Args:
            again: Try it even if it was refused the last time.
        """
        if not self.untold or (self._refused and not again):
            return None
        gap = LossReport(self.untold, self._since, self._reason, self._agent_id)
        self.untold, self._since, self._reason, self._refused = 0, "", "", False
        return gap

    def put_back(self, gap: LossReport) -> None:
        """The log refused a gap: it is told with the next one."""
        self.untold, self._refused = self.untold + gap.lost, True
        self._since, self._reason = gap.since, gap.reason
