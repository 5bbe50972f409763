"""SessionLog: the one object users hold."""

from .log import DEFAULT_NAMESPACE, SessionLog

__all__ = ["DEFAULT_NAMESPACE", "SessionLog"]
