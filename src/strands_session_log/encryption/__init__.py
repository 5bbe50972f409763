"""Content that only who has the key can read: keys outside Valkey, and what encrypts and opens with them."""

from .cipher import Cipher, Sealer, encode_beside, is_encrypted
from .data_key import DataKey, KeyProvider
from .directory import KeyDirectory
from .local import LocalKeys
from .opening import KEYS_VARIABLE, provider
from .pieces import opened_piece, sealed_piece, without_text
from .records import KeyRecord, KeyRecords, ShreddedKey, WrappedKey
from .wrapped import WrappedKeys

__all__ = [
    "KEYS_VARIABLE",
    "Cipher",
    "DataKey",
    "KeyDirectory",
    "KeyProvider",
    "KeyRecord",
    "KeyRecords",
    "LocalKeys",
    "Sealer",
    "ShreddedKey",
    "WrappedKey",
    "WrappedKeys",
    "encode_beside",
    "is_encrypted",
    "opened_piece",
    "provider",
    "sealed_piece",
    "without_text",
]
