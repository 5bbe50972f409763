"""SessionLog: the one object users hold."""

from .log import DEFAULT_NAMESPACE, SessionLog
from .snapshot_keys import KEY_FILE_VARIABLE, authenticator, keys_for

__all__ = ["DEFAULT_NAMESPACE", "KEY_FILE_VARIABLE", "SessionLog", "authenticator", "keys_for"]
