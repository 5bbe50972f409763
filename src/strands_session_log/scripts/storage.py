"""The scripts about stored values, as functions; what they do stands in `lua/storage/`."""

from __future__ import annotations

from ..keys import StorageKeys
from ..server import Store
from . import STORAGE_DELETE, STORAGE_WRITE


def write(store: Store, keys: StorageKeys, name: str, content: bytes) -> None:
    """Keep a value under a name, and list it."""
    store.run(STORAGE_WRITE, keys, [name, content])


def delete(store: Store, keys: StorageKeys, name: str) -> None:
    """Remove a value, and its line in the list."""
    store.run(STORAGE_DELETE, keys, [name])
