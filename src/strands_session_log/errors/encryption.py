"""What keeps encrypted content from being read or written: the key, the ciphertext, or a writer without encryption."""

from __future__ import annotations

from .base import SessionLogError
from .damage import CorruptEntryError

_GIVE_KEYS = "SessionLog(…, encryption=…), --encryption-keys DIR, or SESSION_LOG_ENCRYPTION_KEYS"


class EncryptionError(SessionLogError):
    """Content cannot be encrypted or read. Structure, links and `verify` need no key."""


class KeyMissingError(EncryptionError):
    """The content is encrypted with a key that is not among those given, or none were given.

    Attributes:
        session_id: The session; empty where that is not known.
        entry_id: The event; empty where it is about no single one.
        key_id: The key, in hexadecimal; empty where no keys were given.
    """

    def __init__(self, session_id: str, entry_id: str, key_id: str = "", is_of_others: bool = False) -> None:
        self.session_id, self.entry_id, self.key_id = session_id, entry_id, key_id
        event = f"event {entry_id}" if entry_id else "content"
        what = f"{event} of session {session_id!r}" if session_id else event
        if key_id:
            cure = f"the key {key_id} is missing: open the log with the key store that has it"
        elif is_of_others:
            cure = "the key store has no key of it: open the log with the one that has"
        else:
            cure = f"no keys were given: {_GIVE_KEYS}"
        super().__init__(f"{what} is encrypted, and {cure}")


class WrongKeyError(EncryptionError):
    """There is a key, but it cannot be opened with the master key, or by the key service, that was given.

    Attributes:
        session_id: The session whose key it is.
        key_id: The key, in hexadecimal.
        reason: What is wrong.
    """

    def __init__(self, session_id: str, key_id: str, reason: str) -> None:
        self.session_id, self.key_id, self.reason = session_id, key_id, reason
        super().__init__(
            f"the key {key_id} of session {session_id!r} cannot be opened: {reason}; give the master key, or the key "
            "service, that it was wrapped with"
        )


class KeyShreddedError(EncryptionError):
    """The key was shredded: nobody can read this content any more. The chain of the session still verifies.

    Attributes:
        session_id: The session whose key it was; of a fork, the one that it descends from.
        shredded_at: When, RFC 3339.
        reason: Why, as given.
        by: Who did, as given.
    """

    def __init__(self, session_id: str, shredded_at: str, reason: str = "", by: str = "") -> None:
        self.session_id, self.shredded_at, self.reason, self.by = session_id, shredded_at, reason, by
        why = "".join((f" by {by}" if by else "", f": {reason}" if reason else ""))
        super().__init__(
            f"the key of session {session_id!r} was shredded at {shredded_at}{why}; its content, and that of its "
            "forks, cannot be read any more. Delete the session; `session-log keys rotate SESSION` gives a new one of "
            "the same id a new key"
        )


class KeyServiceError(EncryptionError):
    """A key service (`wrap`, `unwrap`) or the store of wrapped keys failed; trying again may help.

    Attributes:
        session_id: The session whose key was wanted.
        reason: What it said.
    """

    def __init__(self, session_id: str, reason: str) -> None:
        self.session_id, self.reason = session_id, reason
        super().__init__(f"the keys of session {session_id!r} cannot be had: {reason}")


class KeyStoreError(EncryptionError):
    """A key store cannot be used: it is not there, or a file in it is no key file.

    Attributes:
        path: The file or directory.
        reason: What is wrong with it.
        cure: What to do about it.
    """

    def __init__(self, path: str, reason: str, cure: str) -> None:
        self.path, self.reason, self.cure = path, reason, cure
        super().__init__(f"the key store {path!r} cannot be used: {reason}; {cure}")


class CiphertextError(EncryptionError, CorruptEntryError):
    """Encrypted content is not what was written in this place: changed, or moved here from elsewhere.

    Attributes:
        entry_id: The entry, as its stream names it.
        reason: What is wrong with it.
    """

    def __init__(self, entry_id: str, reason: str) -> None:
        CorruptEntryError.__init__(self, entry_id, reason)


class SessionEncryptedError(EncryptionError):
    """The session is encrypted, and the writer is not told to encrypt: nothing was written.

    Plaintext beside ciphertext would void the encryption.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(
            f"session {session_id!r} is encrypted, and this writer would not encrypt: give it {_GIVE_KEYS}"
        )


class ForkedKeyError(EncryptionError):
    """A fork has no key of its own to shred: it is encrypted with that of the session it descends from.

    Attributes:
        session_id: The fork.
        root: The session whose key it is.
    """

    def __init__(self, session_id: str, root: str) -> None:
        self.session_id, self.root = session_id, root
        super().__init__(
            f"session {session_id!r} is a fork, and encrypted with the key of {root!r}: shred that, which makes "
            f"{root!r} and all its forks unreadable, or delete the fork"
        )
