"""Tails: one session, what is being said in it, or all sessions, followed by whoever wants to, over few connections."""

from .feed_tail import FeedPosition, FeedTail, tail_feed
from .hub import Hub
from .live_position import LivePosition
from .live_tail import LiveTail, tail_live
from .tail import Tail, tail_session

__all__ = [
    "FeedPosition",
    "FeedTail",
    "Hub",
    "LivePosition",
    "LiveTail",
    "Tail",
    "tail_feed",
    "tail_live",
    "tail_session",
]
