"""SessionLog: the one object users hold."""

from .archiving import Archive, check_forks, drop_archived, forget_archived, restore_archived
from .belonging import check_is_of
from .erasing import ErasurePlan
from .inspection import ServerInspection, inspect_server
from .log import SessionLog

__all__ = [
    "Archive",
    "ErasurePlan",
    "ServerInspection",
    "SessionLog",
    "check_forks",
    "check_is_of",
    "drop_archived",
    "forget_archived",
    "inspect_server",
    "restore_archived",
]
