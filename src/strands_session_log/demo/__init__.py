"""A conversation that survives kill -9, played by a real agent in real processes: `session-log demo`."""

from .child import DemoError
from .story import TEMPORARY, Began, Ended, Killed, Promise, Resumed, Step, play

__all__ = ["TEMPORARY", "Began", "DemoError", "Ended", "Killed", "Promise", "Resumed", "Step", "play"]
