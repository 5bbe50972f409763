"""SessionLog: the one object users hold."""

from .erasing import ErasurePlan
from .inspection import ServerInspection, inspect_server
from .log import SessionLog, check_is_of

__all__ = ["ErasurePlan", "ServerInspection", "SessionLog", "check_is_of", "inspect_server"]
