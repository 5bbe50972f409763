"""For tests of this library and of what is built on it: a local model, pytest fixtures, the contract suite.

What needs Strands is imported only when it is asked for; `testing.contract` needs pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..on_demand import on_demand

if TYPE_CHECKING:
    from .clock import Clock
    from .crashing import crash
    from .history import write_history
    from .model import ScriptedModel
    from .playing_again import play_again
    from .recorded import recorded_messages, recorded_prompts, recorded_replies
    from .rerunning import Rerun, RerunTurn, rerun, stand_in

__all__ = [
    "Clock",
    "Rerun",
    "RerunTurn",
    "ScriptedModel",
    "crash",
    "play_again",
    "recorded_messages",
    "recorded_prompts",
    "recorded_replies",
    "rerun",
    "stand_in",
    "write_history",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "clock": "Clock",
            "crashing": "crash",
            "history": "write_history",
            "model": "ScriptedModel",
            "playing_again": "play_again",
            "recorded": "recorded_messages recorded_prompts recorded_replies",
            "rerunning": "Rerun RerunTurn rerun stand_in",
        },
    )
