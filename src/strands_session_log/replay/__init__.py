"""The log joined with the fold: a session's state, now or at a point, and what follows from being able to go there."""

from .folding import fold
from .replay import Replay
from .rewinding import rewind
from .succeeding import moved_by, write_successors

__all__ = ["Replay", "fold", "moved_by", "rewind", "write_successors"]
