"""Which keys a log is opened with: those it is given, or those of the directory that the URL or the environment names.

Never a key itself in either of them: URLs and environments are logged, and shown in lists of processes.
"""

from __future__ import annotations

import os

from ..errors import InvalidSettingError
from .data_key import KeyProvider
from .local import LocalKeys

KEYS_VARIABLE = "SESSION_LOG_ENCRYPTION_KEYS"
_ASKED = ("current", "create", "find")


def provider(given: KeyProvider | str | os.PathLike[str] | None) -> KeyProvider | None:
    """Where the keys are.

    Args:
        given: A provider, or the directory of a key store; None for the one that the environment names, if it does.

    Raises:
        InvalidSettingError: When it is neither.
        KeyStoreError: When there is no key store in the directory.
    """
    if given is None or given == "":
        given = os.environ.get(KEYS_VARIABLE) or None
    if given is None:
        return None
    if isinstance(given, (str, os.PathLike)):
        return LocalKeys(given)
    if not all(callable(getattr(given, name, None)) for name in _ASKED):
        raise InvalidSettingError("encryption", given, "give a KeyProvider, such as LocalKeys(DIR), or its directory")
    return given
