"""Persons as keyed hashes: without the key, which is not on the server, nobody can tell who is meant, or try it out."""

from __future__ import annotations

import hmac
import os

from ..chain import to_text
from ..errors import InvalidSettingError
from ..server import subject_key_file_of
from ..snapshot import SnapshotKey
from ..snapshot.authentication import check_key
from ..snapshot.keys import keys_in

SUBJECT_KEY_FILE_VARIABLE = "SESSION_LOG_SUBJECT_KEY_FILE"
_PURPOSE = b"strands-session-log subject"
_LONGEST = 1024


def check_subject(subject: object) -> str:
    """Accept what can name a person: any text.

    Raises:
        InvalidSettingError: When it is anything else, empty, or very long. It is not shown: it may name a person.
    """
    if not isinstance(subject, str):
        raise InvalidSettingError("subject", type(subject), "give text")
    if not subject.strip() or len(subject) > _LONGEST:
        raise InvalidSettingError("subject", f"<{len(subject)} characters>", f"give 1 to {_LONGEST} characters")
    try:
        subject.encode()
    except UnicodeEncodeError as error:
        raise InvalidSettingError("subject", "<a lone surrogate>", "give text that is UTF-8") from error
    return subject


class SubjectKeys:
    """Hashes persons.

    Args:
        given: One key, or several: the first hashes what is written, all what is looked for. None for those in the file
            that the environment names, if it does.

    Raises:
        SessionLogError: When one of them can be no key, or there is no such file; no key is ever shown.
    """

    def __init__(self, given: SnapshotKey | None) -> None:
        if given is None:
            file = os.environ.get(SUBJECT_KEY_FILE_VARIABLE)
            given = keys_in(file, SUBJECT_KEY_FILE_VARIABLE, "subject_key") if file else ()
        several = given if isinstance(given, (list, tuple)) else [given]
        self._keys = tuple(check_key(one, "subject_key") for one in several)

    def hashes(self, subject: str) -> tuple[str, ...]:
        """The hashes of a person by all keys, 43 characters of base64url each; what is written has the first.

        Raises:
            InvalidSettingError: When it can be no person, or there is no key.
        """
        name = check_subject(subject).encode()
        if not self._keys:
            cure = f"give it, or name a file with it as {SUBJECT_KEY_FILE_VARIABLE}: openssl rand -base64 32 > FILE"
            raise InvalidSettingError("subject_key", None, cure)
        parts = b"".join(b"%d:%b" % (len(part), part) for part in (_PURPOSE, name))
        return tuple(to_text(hmac.digest(key, parts, "sha256")).decode() for key in self._keys)


def subject_keys_for(url: str) -> SnapshotKey | None:
    """The keys in the file a URL names (`?subject_key_file=/path`); None if it names none."""
    file = subject_key_file_of(url)
    return keys_in(file, "subject_key_file", "subject_key") if file else None
