"""SessionLog: the one object users hold."""

from .belonging import check_is_of
from .erasing import ErasurePlan
from .inspection import ServerInspection, inspect_server
from .log import SessionLog

__all__ = ["ErasurePlan", "ServerInspection", "SessionLog", "check_is_of", "inspect_server"]
