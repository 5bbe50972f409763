"""SessionLog: the one object users hold."""

from .log import DEFAULT_NAMESPACE, SessionLog, check_is_of
from .snapshot_keys import KEY_FILE_VARIABLE, authenticator, keys_for

__all__ = ["DEFAULT_NAMESPACE", "KEY_FILE_VARIABLE", "SessionLog", "authenticator", "check_is_of", "keys_for"]
