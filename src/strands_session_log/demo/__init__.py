"""A conversation that survives kill -9, played by a real agent in real processes: `session-log demo`."""

from .child import DemoError
from .story import TEMPORARY, AgentResumed, Began, Killed, Promise, Step, StoryEnded, play

__all__ = ["TEMPORARY", "AgentResumed", "Began", "DemoError", "Killed", "Promise", "Step", "StoryEnded", "play"]
