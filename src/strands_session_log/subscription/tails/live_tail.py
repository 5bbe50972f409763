"""What is being said in a session, word by word, and the messages that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ...codec.delta import Delta
from ...errors import InvalidPointError
from ...event_log import EventLog
from ...events import MessageAdded, Recorded
from ...ids import START, EventId, check_id
from .buffer import Buffer
from .hub import Hub
from .live_watch import DeltaWatch, MessageWatch
from .tail import Tail

LiveItem: TypeAlias = "Delta | Recorded"


class LiveTail(Tail[LiveItem]):
    """Pieces of messages as they are spoken, and each message once it is in the log.

    The ids of both lead back to where they were. A piece whose `line.message` is another than that of the agent's piece
    before: that one will not go on. A message that is in the log is over: no more of its pieces come.
    """

    def __init__(
        self, hub: Hub, buffer: Buffer[Any], messages: MessageWatch, deltas: DeltaWatch, after: EventId | None
    ) -> None:
        """Made by `SessionLog.live`."""
        self._messages, self._after = messages, after
        self._finished: dict[str, int] = {}
        self._numbers: dict[str, tuple[str, int]] = {}
        super().__init__(hub, buffer, [messages], [deltas])

    def _item(self, found: Any) -> LiveItem | None:
        return self._recorded(found) if isinstance(found, Recorded) else self._delta(found)

    def _recorded(self, found: Recorded) -> Recorded | None:
        if found.event.type == MessageAdded.TYPE and _role(found) == "assistant":
            self._finished[found.event.agent] = found.id.revision
        return None if found.id <= self._messages.known or found.id == self._after else found

    def _delta(self, found: Delta) -> Delta | None:
        """Nothing of a message that is in the log, and nothing twice, though drivers repeat what they wrote."""
        line = found.line
        message, number = self._numbers.get(line.agent, ("", 0))
        if self._finished.get(line.agent, 0) > found.revision or (message == line.message and number >= line.sequence):
            return None
        self._numbers[line.agent] = line.message, line.sequence
        return found


def tail_live(hub: Hub, log: EventLog, session_id: str, after: EventId | str | None) -> LiveTail:
    """Follow what is being said in a session, see `SessionLog.live`.

    Raises:
        InvalidPointError: When `after` is no id.
        InvalidIdError: When the session id cannot be one.
    """
    check_id("session_id", session_id)
    known = _id(after)
    buffer = Buffer[Any](2)
    deltas = DeltaWatch(log, session_id, known or START, buffer)
    messages = MessageWatch(log, session_id, known, buffer, deltas)
    return LiveTail(hub, buffer, messages, deltas, known)


def _id(after: EventId | str | None) -> EventId | None:
    if after is None or isinstance(after, EventId):
        return after
    if not isinstance(after, str):
        raise InvalidPointError(after)
    return EventId.parse(after)


def _role(recorded: Recorded) -> Any:
    """Of a message, also of an erased one."""
    data = recorded.event.data
    message = data.get("message")
    return message.get("role") if isinstance(message, Mapping) else data.get("role")
