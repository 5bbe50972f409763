"""SessionLog: the one object users hold."""

from .belonging import check_is_of
from .durations import parse_duration
from .erasing import ErasurePlan
from .inspection import ServerInspection, inspect_server
from .log import SessionLog
from .policies import RetentionPolicies, RetentionPolicy
from .retention import LegalHold, Retention, RetentionReport, RetentionStep

__all__ = [
    "ErasurePlan",
    "LegalHold",
    "Retention",
    "RetentionPolicies",
    "RetentionPolicy",
    "RetentionReport",
    "RetentionStep",
    "ServerInspection",
    "SessionLog",
    "check_is_of",
    "inspect_server",
    "parse_duration",
]
