"""Following conversations as they happen: alone (tails), or as one of several consumers that share the work."""

from .deliveries import Deliveries, SyncDeliveries
from .delivery import Delivery, SyncDelivery
from .groups import Cure, GroupStatus, check_group, delete_group, groups, settle_gaps
from .parked import ParkedEvent, ParkedEvents
from .running import Handler
from .subscriber import Subscriber
from .tails import FeedPosition, FeedTail, Hub, LivePosition, LiveTail, Tail, tail_feed, tail_live, tail_session
from .taken import Gap

__all__ = [
    "Cure",
    "Deliveries",
    "Delivery",
    "FeedPosition",
    "FeedTail",
    "Gap",
    "GroupStatus",
    "Handler",
    "Hub",
    "LivePosition",
    "LiveTail",
    "ParkedEvent",
    "ParkedEvents",
    "Subscriber",
    "SyncDeliveries",
    "SyncDelivery",
    "Tail",
    "check_group",
    "delete_group",
    "groups",
    "settle_gaps",
    "tail_feed",
    "tail_live",
    "tail_session",
]
