"""Mirror mode: a conversation kept elsewhere, or nowhere, is in the log as well."""

from .hooks import SessionRecorder
from .losses import RecorderStats

__all__ = ["RecorderStats", "SessionRecorder"]
