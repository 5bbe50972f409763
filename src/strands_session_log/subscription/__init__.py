"""Following conversations as they happen: alone, or as one of several consumers that share the work."""

from .deliveries import Deliveries, SyncDeliveries
from .delivery import Delivery, SyncDelivery
from .groups import GroupStatus, groups
from .parked import ParkedEvent, ParkedEvents
from .subscriber import Subscriber

__all__ = [
    "Deliveries",
    "Delivery",
    "GroupStatus",
    "ParkedEvent",
    "ParkedEvents",
    "Subscriber",
    "SyncDeliveries",
    "SyncDelivery",
    "groups",
]
