"""What is being said in a session, word by word, and the messages that come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ..codec.delta import DISCARDED, Delta
from ..errors import InvalidPointError
from ..event_log import EventLog
from ..events import MessageAdded, Recorded
from ..ids import START, EventId, check_id
from .buffer import Buffer
from .live_cursor import DeltaCursor, LivePoint, MessageCursor
from .live_position import LivePosition
from .multiplexer import Multiplexer
from .tail import Tail

LiveItem: TypeAlias = "Delta | Recorded"


_NO_MORE = 2**63
"""As the number of a piece after which none counts."""


class LiveTail(Tail[LiveItem]):
    """Pieces of messages as they are spoken, and each message once it is in the log.

    A piece whose `line.message` is another than that of the agent's piece before: that one will not go on. A message
    that is in the log is over: no more of its pieces come. `position` leads back to where the loop was; how a reader
    that was cut off tells what it has already is in `docs/subscriptions.md`.
    """

    def __init__(
        self,
        multiplexer: Multiplexer,
        buffer: Buffer[Any],
        messages: MessageCursor,
        deltas: DeltaCursor,
        after: LivePoint | None,
    ) -> None:
        """Made by `SessionLog.live`."""
        self._messages, self._after = messages, after
        self._event = START
        self._piece: EventId | None = None
        self._finished: dict[str, int] = {}
        self._numbers: dict[str, tuple[str, int]] = {}
        super().__init__(multiplexer, buffer, [messages], [deltas])

    @property
    def position(self) -> LivePoint | None:
        """After what it goes on: a tail that begins there gets what this one would get next.

        Until it has begun, which a `with` block waits for, what it was told to begin after.
        """
        start = self._messages.start
        if start is None:
            return self._after
        return LivePosition(max(start.event, self._event), self._piece or start.piece)

    def _item(self, found: Any) -> LiveItem | None:
        return self._recorded(found) if isinstance(found, Recorded) else self._delta(found)

    def _recorded(self, found: Recorded) -> Recorded | None:
        if found.event.type == MessageAdded.TYPE and _role(found) == "assistant":
            self._finished[found.event.agent] = found.id.revision
        self._event = found.id
        return None if found.id <= self._messages.known else found

    def _delta(self, found: Delta) -> Delta | None:
        """Nothing of a message that is in the log or was discarded, and nothing twice, though drivers repeat writes."""
        self._piece, line = found.id, found.line
        message, number = self._numbers.get(line.agent, ("", 0))
        if self._finished.get(line.agent, 0) > found.revision or (message == line.message and number >= line.sequence):
            return None
        self._numbers[line.agent] = line.message, _NO_MORE if line.kind == DISCARDED else line.sequence
        return found


def tail_live(
    multiplexer: Multiplexer,
    log: EventLog,
    session_id: str,
    after: LivePoint | str | None,
    types: str | Sequence[str] = (),
) -> LiveTail:
    """Follow what is being said in a session, see `SessionLog.live`.

    Raises:
        InvalidPointError: When `after` is no position and no id.
        InvalidIdError: When the session id cannot be one.
    """
    check_id("session_id", session_id)
    known = _point(after)
    buffer = Buffer[Any](2)
    deltas = DeltaCursor(log, session_id, buffer)
    messages = MessageCursor(log, session_id, known, buffer, deltas, types)
    return LiveTail(multiplexer, buffer, messages, deltas, known)


def _point(after: LivePoint | str | None) -> LivePoint | None:
    match after:
        case None | LivePosition() | EventId():
            return after
        case str():
            return LivePosition.parse(after) if "." in after else EventId.parse(after)
        case _:
            raise InvalidPointError(after, takes="a LivePosition or an EventId")


def _role(recorded: Recorded) -> Any:
    """Of a message, also of an erased one."""
    data = recorded.event.data
    message = data.get("message")
    return message.get("role") if isinstance(message, Mapping) else data.get("role")
