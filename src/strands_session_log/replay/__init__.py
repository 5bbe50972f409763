"""The log joined with the fold: a session's state, now or at a point, and what follows from being able to go there."""

from .folding import catch_up, fold, state

__all__ = ["catch_up", "fold", "state"]
