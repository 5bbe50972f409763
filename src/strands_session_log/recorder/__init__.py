"""Mirror mode: a conversation kept elsewhere, or nowhere, is in the log as well."""

from .losses import RecorderStats
from .recorder import SessionRecorder

__all__ = ["RecorderStats", "SessionRecorder"]
