"""Following the log as it is written: one session, or all of them."""

from .feed_tail import FeedPosition, FeedTail, tail_feed
from .hub import Hub
from .tail import Tail, tail_session

__all__ = ["FeedPosition", "FeedTail", "Hub", "Tail", "tail_feed", "tail_session"]
