"""What encrypts the events that the log itself writes: as content of the session is, or is not."""

from __future__ import annotations

from ..encryption import Cipher, Sealer
from ..errors import SessionEncryptedError
from ..server import Store
from .diagnosis import parsed


def sealer_for(store: Store, cipher: Cipher, session_id: str) -> Sealer | None:
    """What encrypts what is told of an erasure, or of a fork; None where content of the session is not encrypted.

    Args:
        store: Where the session is.
        cipher: Has the keys.
        session_id: The session; of a fork that is yet to be made, its parent.

    Raises:
        SessionEncryptedError: When it is, and there are no keys.
        EncryptionError: When its key is not to be had.
    """
    key = store.keyspace.session(session_id).head
    (found,) = store.fields(key, "sealed")
    if found is None:
        return None
    if not cipher.is_active:
        raise SessionEncryptedError(session_id)
    cipher.learn(session_id, parsed(key, "sealed", found, str))
    return cipher.sealer(session_id)
