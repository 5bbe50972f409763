"""Tails: one session, what is being said in it, or all sessions, followed by whoever wants to, over few connections."""

from .feed_tail import FeedPosition, FeedTail, tail_feed
from .live_position import LivePosition
from .live_tail import LiveTail, tail_live
from .multiplexer import Multiplexer
from .tail import Tail, tail_session

__all__ = [
    "FeedPosition",
    "FeedTail",
    "LivePosition",
    "LiveTail",
    "Multiplexer",
    "Tail",
    "tail_feed",
    "tail_live",
    "tail_session",
]
