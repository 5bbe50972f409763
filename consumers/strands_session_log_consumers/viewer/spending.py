"""What the sessions of the list have cost, where prices are given: each is read once, and then what came since."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import Final, NamedTuple

from strands_session_log import EventId, Prices, SessionCost, SessionInfo, SessionLog
from strands_session_log.errors import CorruptEntryError, CorruptKeyError, LogForkedError

_MOST: Final = 10_000
"""Sessions that are remembered."""


class _Known(NamedTuple):
    created_at: datetime
    id: EventId
    cost: SessionCost


class SessionCosts:
    """Costs by session; any number of threads may ask.

    Args:
        log: The log.
        prices: What models cost.
    """

    def __init__(self, log: SessionLog, prices: Prices) -> None:
        self._log, self._prices = log, prices
        self._known, self._lock = OrderedDict[str, _Known](), Lock()

    def of(self, page: Sequence[SessionInfo]) -> dict[str, str]:
        """As they are shown, by session; of one that cannot be read, and of one that nothing is known of, a dash."""
        return {info.session_id: _shown(self._cost(info)) for info in page}

    def _cost(self, info: SessionInfo) -> SessionCost | None:
        head = EventId(round(info.last_event_at.timestamp() * 1000), info.revision)
        with self._lock:
            known = self._known.get(info.session_id)
        if known and (known.created_at != info.created_at or known.id > head):
            # Another session of that name.
            known = None
        if known and known.id == head:
            return known.cost
        try:
            since = self._prices.cost_of(self._log, info.session_id, known.id if known else None, head)
        except (CorruptEntryError, CorruptKeyError, LogForkedError):
            return None
        cost = known.cost + since if known else since
        with self._lock:
            self._known[info.session_id] = _Known(info.created_at, head, cost)
            self._known.move_to_end(info.session_id)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return cost


def _shown(cost: SessionCost | None) -> str:
    """In dollars; `+` where not all is known of what there was to pay."""
    if cost is None or not (cost.dollars or cost.is_whole):
        return "-"
    return f"${cost.dollars:,.{2 if cost.dollars >= 1 else 4}f}{'' if cost.is_whole else '+'}"
