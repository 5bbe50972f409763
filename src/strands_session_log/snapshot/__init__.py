"""The cached snapshot: states as bytes, and back. Pure: where the bytes are kept is not known here.

A snapshot is a cache: it may vanish, be stale, or be damaged at any time without changing what a reader sees. It keeps
what the agents hold, so that they resume at once, at a few points of the session's history; what else was said is read
from the log by whoever asks for it.
"""

from .blobs import DamagedError
from .points import points_to_keep, wants_point
from .reading import Fetch, Restored, restore
from .settings import SnapshotSettings
from .writing import Draft

__all__ = [
    "DamagedError",
    "Draft",
    "Fetch",
    "Restored",
    "SnapshotSettings",
    "points_to_keep",
    "restore",
    "wants_point",
]
