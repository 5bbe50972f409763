"""Following the log as it is written: one session, or all of them."""

from .feed_tail import FeedPosition, FeedTail, tail_feed
from .hub import Hub
from .live_tail import LiveTail, tail_live
from .tail import Tail, tail_session

__all__ = ["FeedPosition", "FeedTail", "Hub", "LiveTail", "Tail", "tail_feed", "tail_live", "tail_session"]
