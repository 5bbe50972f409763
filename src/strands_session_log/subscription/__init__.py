"""Following conversations as they happen: alone (tails), or as one of several consumers that share the work."""

from .deliveries import Deliveries, SyncDeliveries
from .delivery import Delivery, SyncDelivery
from .feed_tail import FeedPosition, FeedTail, tail_feed
from .groups import GroupStatus, groups
from .hub import Hub
from .live_tail import LiveTail, tail_live
from .parked import ParkedEvent, ParkedEvents
from .subscriber import Subscriber
from .tail import Tail, tail_session

__all__ = [
    "Deliveries",
    "Delivery",
    "FeedPosition",
    "FeedTail",
    "GroupStatus",
    "Hub",
    "LiveTail",
    "ParkedEvent",
    "ParkedEvents",
    "Subscriber",
    "SyncDeliveries",
    "SyncDelivery",
    "Tail",
    "groups",
    "tail_feed",
    "tail_live",
    "tail_session",
]
