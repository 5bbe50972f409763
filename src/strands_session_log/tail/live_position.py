"""Where a reader of what is being said stands: in two streams, which no single id can name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import InvalidPointError
from ..ids import START, EventId

_POSITION = re.compile(r"([0-9]{1,16}-[0-9]{1,16})\.([0-9]{1,16}-[0-9]{1,16})")


@dataclass(frozen=True, slots=True, order=True)
class LivePosition:
    """Where a reader stands in a session: after which event of the log, and after which piece of the live stream.

    As text, `1700000000000-12.1700000004000-3`: an SSE `Last-Event-ID`, a query parameter. Positions of one tail order
    as its items came, unless the server's clock went back. Of two tails, one is further if neither part is behind.

    Attributes:
        event: The last message that is known, or a later event; `START` for none.
        piece: The last piece that is known; `START` for none.
    """

    event: EventId = START
    piece: EventId = START

    @classmethod
    def parse(cls, text: str) -> LivePosition:
        """Read its text form.

        Raises:
            InvalidPointError: When the text has another form.
        """
        found = _POSITION.fullmatch(text)
        if found is None:
            raise InvalidPointError(text, takes="a cursor, as `session-log tail --live --json` prints it")
        return cls(EventId.parse(found[1]), EventId.parse(found[2]))

    def __str__(self) -> str:
        return f"{self.event}.{self.piece}"
