"""What agents say while they say it, for whoever watches: published beside the log, never part of it. See ADR 0017."""

from .publisher import LiveStats
from .tokens import LiveTokens

__all__ = ["LiveStats", "LiveTokens"]
