"""Consumers of one group, which share the work of following all sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..on_demand import on_demand

if TYPE_CHECKING:
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

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            ".scripts.group_protocol": "Gap",
            "deliveries": "Deliveries SyncDeliveries",
            "delivery": "Delivery SyncDelivery",
            "parked": "ParkedEvent ParkedEvents",
            "running": "Handler",
            "status": "GapResolution GroupStatus check_group delete_group groups settle_gaps",
            "subscriber": "Subscriber",
        },
    )
