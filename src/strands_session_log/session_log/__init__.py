"""SessionLog: the one object users hold."""

from .log import DEFAULT_NAMESPACE, SessionLog
from .snapshot_keys import KEY_FILE_VARIABLE, keys_for

__all__ = ["DEFAULT_NAMESPACE", "KEY_FILE_VARIABLE", "SessionLog", "keys_for"]
