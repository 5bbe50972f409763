"""Consumers of one group, which share the work of following all sessions."""

from ..scripts.group_protocol import Gap
from .deliveries import Deliveries, SyncDeliveries
from .delivery import Delivery, SyncDelivery
from .parked import ParkedEvent, ParkedEvents
from .running import Handler
from .status import GapResolution, GroupStatus, check_group, delete_group, groups, settle_gaps
from .subscriber import Subscriber

__all__ = [
    "Deliveries",
    "Delivery",
    "Gap",
    "GapResolution",
    "GroupStatus",
    "Handler",
    "ParkedEvent",
    "ParkedEvents",
    "Subscriber",
    "SyncDeliveries",
    "SyncDelivery",
    "check_group",
    "delete_group",
    "groups",
    "settle_gaps",
]
