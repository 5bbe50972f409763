"""What guardrails redacted, and what of it still has to be erased from the server."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress

from strands.types.session import SessionMessage

from .. import events
from ..event_log import EventLog
from ..event_log.whereabouts import Sought
from ..lifecycle import Outbox
from ..lifecycle.erasing import erase_copies, erase_original
from ..lifecycle.records import redacted
from ..lifecycle.trace import current_traceparent


class Redactions:
    """The redactions of one session: a message is replaced first, and then what it said is erased until it is gone.

    Args:
        log: Where the session is.
        session_id: The session.
    """

    def __init__(self, log: EventLog, session_id: str) -> None:
        self._log, self._session_id = log, session_id
        self._unerased: set[tuple[str, int]] = set()
        self._unfound: list[tuple[str, Sought]] = []
        self._erasing = threading.Lock()

    def redact(self, outbox: Outbox, message: SessionMessage) -> None:
        """Put a redaction in line; a message that is held back is just another one then.

        Args:
            outbox: Of its agent.
            message: Both of its messages are the redaction.
        """
        if outbox.redact_held(SessionMessage(message.message, message.message_id, created_at=message.created_at)):
            return
        outbox.adopt([events.MessageRedacted(redacted(message), outbox.agent_id, trace=current_traceparent())])
        self.remember(outbox.agent_id, [message.message_id])

    def remember(self, agent_id: str, indices: Iterable[int]) -> None:
        """Note messages whose originals have to be erased."""
        self._unerased.update((agent_id, index) for index in indices)

    def look_for(self, agent_id: str, found: Sought) -> None:
        """Note what the state of an agent holds of messages that were never its own, and has to be erased."""
        self._unfound.append((agent_id, found))

    def finish(self, agent_id: str) -> None:
        """Erase what an agent's redacted messages said before; what fails stays to be done.

        Tools that run side by side write side by side, too: what one of them erases the other waits for.

        Raises:
            SessionLogError: When it cannot be erased now.
        """
        if any(agent == agent_id for agent, _ in (*self._unerased, *self._unfound)):
            with self._erasing:
                self._finish(agent_id)

    def _finish(self, agent_id: str) -> None:
        for waiting in [one for one in list(self._unerased) if one[0] == agent_id]:
            erase_original(self._log, self._session_id, *waiting)
            self._unerased.discard(waiting)
        for one in [one for one in list(self._unfound) if one[0] == agent_id]:
            erase_copies(self._log, self._session_id, one[1])
            # Unless it went with the session meanwhile.
            with suppress(ValueError):
                self._unfound.remove(one)

    def forget(self) -> None:
        """The session was deleted."""
        self._unerased.clear()
        self._unfound.clear()
