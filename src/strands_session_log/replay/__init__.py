"""The log joined with the fold: a session's state, now or at a point, and what follows from being able to go there."""

from .folding import fold
from .replay import FEW_BYTES, Replay
from .rewinding import rewind, then_and_now
from .succeeding import moved_by, write_successors

__all__ = ["FEW_BYTES", "Replay", "fold", "moved_by", "rewind", "then_and_now", "write_successors"]
