"""What a log can be told: checked, and by name; what each means stands with `SessionLog`."""

from __future__ import annotations

from typing import Literal, TypedDict

from ..encryption import KeyProvider
from ..errors import InvalidSettingError, check_flag, check_kind, check_seconds
from ..feed import FeedRetention
from ..server import Durability, key_store_of
from ..snapshot import SnapshotKey, SnapshotSettings
from ..snapshot.keys import keys_for
from .archiving import Archive, check_archive
from .subject_keys import subject_keys_for

__all__ = ["Archive", "LogSettings", "check_archive", "check_settings", "with_keys_of"]


class LogSettings(TypedDict, total=False):
    """The keyword arguments of `SessionLog` and `SessionLog.connect`."""

    partitions: int | None
    durability: Durability | str
    retry_for: float
    allow_eviction: bool
    snapshots: SnapshotSettings | None
    snapshot_key: SnapshotKey | None
    subject_key: SnapshotKey | None
    feed: FeedRetention
    verify_on_resume: bool
    compress: Literal["zstd"] | None
    encryption: KeyProvider | str | None
    archive: Archive | None


def check_settings(
    durability: Durability | str,
    retry_for: float,
    snapshots: SnapshotSettings | None,
    feed: FeedRetention,
    compress: object,
    **flags: bool,
) -> Durability:
    """Refuse what cannot be, and read the durability.

    Raises:
        InvalidSettingError: When one of the settings cannot be; names it.
    """
    durability = durability if isinstance(durability, Durability) else Durability.parse(durability)
    check_seconds("retry_for", retry_for)
    if snapshots is not None:
        check_kind("snapshots", snapshots, SnapshotSettings)
    check_kind("feed", feed, FeedRetention)
    for name, value in flags.items():
        check_flag(name, value)
    if compress not in (None, "zstd"):
        raise InvalidSettingError("compress", compress, 'give "zstd", or None to keep bodies as text')
    return durability


def with_keys_of(url: str, settings: LogSettings) -> LogSettings:
    """Settings with the keys that a URL names, where none were given."""
    found = settings.copy()
    if found.get("snapshot_key") is None:
        found["snapshot_key"] = keys_for(url)
    if found.get("subject_key") is None:
        found["subject_key"] = subject_keys_for(url)
    if found.get("encryption") is None:
        found["encryption"] = key_store_of(url) or None
    return found
