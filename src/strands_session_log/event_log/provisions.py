"""What sessions are to have as soon as they are there: a time to live, and whom they are about."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable

from ..errors import SessionLogError

logger = logging.getLogger(__name__)

_MOST_SESSIONS = 4096


class Provisions:
    """Gives sessions what they are to have, after the first append that this process makes to them.

    And after each that begins one of them anew: what was deleted takes that along. What fails is tried again after the
    next append; nobody who appends hears of it, as the events are written.
    """

    def __init__(self) -> None:
        # Operations of a dict are atomic, so threads may share them.
        self._wanted: OrderedDict[str, dict[str, Callable[[], object]]] = OrderedDict()
        self._due = dict[tuple[str, str], None]()

    def want(self, session_id: str, name: str, provide: Callable[[], object]) -> None:
        """Have a session be given something, in place of what it was to be given by this name before."""
        self._wanted.setdefault(session_id, {})[name] = provide
        self._wanted.move_to_end(session_id)
        self._due[session_id, name] = None
        while len(self._wanted) > _MOST_SESSIONS:
            old, wanted = self._wanted.popitem(last=False)
            for one in wanted:
                self._due.pop((old, one), None)

    def appended(self, session_id: str, begins: bool) -> None:
        """Something was appended to a session."""
        for name, provide in list(self._wanted.get(session_id, {}).items()):
            # Taken out first: what is given may be an append itself.
            is_due = self._due.pop((session_id, name), self) is None
            if not (is_due or begins):
                continue
            try:
                provide()
            except SessionLogError as error:
                self._due[session_id, name] = None
                logger.warning(
                    "session_id=<%s>, wanted=<%s>, error=<%s> | tried again after the next append",
                    session_id,
                    name,
                    type(error).__name__,
                )
