"""The message that was written last, into which Strands may merge what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from ..codec import to_json
from ..state import Messages


class Spoken(NamedTuple):
    """The message that was written last.

    Attributes:
        at: Where it stands.
        created_at: When it was written first.
        live: The message itself, which may have been changed since.
        written: What it said: its message as JSON values, or the body of its event.
    """

    at: int
    created_at: str
    live: Mapping[str, Any]
    written: Mapping[str, Any] | bytes

    @classmethod
    def last_of(cls, messages: Messages) -> Spoken | None:
        """The last message of a transcript."""
        if not messages:
            return None
        last = messages[-1]
        return cls(last.message_id, last.created_at, last.shown, last.shown)

    def is_continued_by(self, message: Any, held: Sequence[Any]) -> bool:
        """Whether a message is this one, into which Strands has merged another.

        A tracking id alone does not tell: applications say the same dict again, and copies of it. Strands puts a copy
        in the place of the message, which has more after what the message said.

        Args:
            message: The message.
            held: What its agent holds.
        """
        tracking_id = message.get("tracking_id")
        if tracking_id is None or tracking_id != self.live.get("tracking_id") or message is self.live:
            return False
        if sum(one.get("tracking_id") == tracking_id for one in held) != 1:
            return False
        written = orjson.loads(self.written)["message"] if isinstance(self.written, bytes) else self.written
        said, says = written["content"], to_json(message, "message")["content"]
        return message["role"] == written["role"] and len(says) > len(said) and says[: len(said)] == said
