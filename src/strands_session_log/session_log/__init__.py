"""SessionLog: the one object users hold."""

from .archiving import (
    Archive,
    ArchivedCopy,
    SearchableArchive,
    check_forks,
    drop_archived,
    forget_archived,
    restore_archived,
)
from .belonging import check_is_of
from .costs import ModelPrice, Prices, SessionCost
from .durations import parse_duration
from .editing import EditedFork, fork_edited
from .erasing import ErasurePlan
from .inspection import ServerInspection, inspect_server
from .log import SessionLog
from .policies import RetentionPolicies, RetentionPolicy
from .providing import providing
from .retention import LegalHold, Retention, RetentionReport, RetentionStep
from .runs import CurrentRun, RunLease, SessionRuns
from .subject_export import SubjectExport
from .subject_places import SubjectPlace, SubjectReport, SubjectStep
from .subjects import Subjects

__all__ = [
    "Archive",
    "ArchivedCopy",
    "CurrentRun",
    "EditedFork",
    "ErasurePlan",
    "LegalHold",
    "ModelPrice",
    "Prices",
    "Retention",
    "RetentionPolicies",
    "RetentionPolicy",
    "RetentionReport",
    "RetentionStep",
    "RunLease",
    "SearchableArchive",
    "ServerInspection",
    "SessionCost",
    "SessionLog",
    "SessionRuns",
    "SubjectExport",
    "SubjectPlace",
    "SubjectReport",
    "SubjectStep",
    "Subjects",
    "check_forks",
    "check_is_of",
    "drop_archived",
    "forget_archived",
    "fork_edited",
    "inspect_server",
    "parse_duration",
    "providing",
    "restore_archived",
]
