"""The cached snapshot: states as bytes, and back; and where these are kept (`store`).

A snapshot is a cache: it may vanish, be stale, or be damaged at any time without changing what a reader sees. It keeps
what the agents hold, so that they resume at once, at a few points of the session's history; what else was said is read
from the log by whoever asks for it. With a key, one that others have forged is no more than a damaged one.
"""

from .authentication import Authenticator, SnapshotKey, SnapshotPlace
from .blobs import DamagedError, OtherVersionError, OutdatedError, TooLargeError
from .cost import Cost, Estimate, cost
from .points import points_to_keep, wants_point
from .reading import Fetch, Restored, restore
from .settings import SnapshotSettings
from .writing import Draft, Whose

__all__ = [
    "Authenticator",
    "Cost",
    "DamagedError",
    "Draft",
    "Estimate",
    "Fetch",
    "OtherVersionError",
    "OutdatedError",
    "Restored",
    "SnapshotKey",
    "SnapshotPlace",
    "SnapshotSettings",
    "TooLargeError",
    "Whose",
    "cost",
    "points_to_keep",
    "restore",
    "wants_point",
]
