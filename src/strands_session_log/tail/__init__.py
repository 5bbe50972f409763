"""Tails: one session, what is being said in it, or all sessions, followed by whoever wants to, over few connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..on_demand import on_demand

if TYPE_CHECKING:
    from .feed_tail import FeedPosition, FeedTail, tail_feed
    from .live_cursor import LivePoint
    from .live_position import LivePosition
    from .live_tail import LiveTail, tail_live
    from .multiplexer import Multiplexer
    from .tail import Tail, tail_session

__all__ = [
    "FeedPosition",
    "FeedTail",
    "LivePoint",
    "LivePosition",
    "LiveTail",
    "Multiplexer",
    "Tail",
    "tail_feed",
    "tail_live",
    "tail_session",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "feed_tail": "FeedPosition FeedTail tail_feed",
            "live_cursor": "LivePoint",
            "live_position": "LivePosition",
            "live_tail": "LiveTail tail_live",
            "multiplexer": "Multiplexer",
            "tail": "Tail tail_session",
        },
    )
