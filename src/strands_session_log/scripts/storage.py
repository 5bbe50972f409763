"""The scripts about stored values, as functions; what they do stands in `lua/storage/`."""

from __future__ import annotations

from ..keys import StorageKeys
from ..server import Store
from . import STORAGE_DELETE, STORAGE_WRITE


def write(store: Store, keys: StorageKeys, name: str, subject: str, content: bytes) -> None:
    """Keep a value under a name, and list it; also by the keyed hash of whom it is about, if that is not empty."""
    store.run(STORAGE_WRITE, keys, [name, content, subject])


def delete(store: Store, keys: StorageKeys, name: str, subject: str) -> None:
    """Remove a value, and its lines in the lists."""
    store.run(STORAGE_DELETE, keys, [name, subject])
