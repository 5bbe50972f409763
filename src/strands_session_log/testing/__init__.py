"""For tests of this library and of what is built on it: a local model, pytest fixtures, the contract suite.

`ScriptedModel` and `play_again` need Strands, and are imported only when asked for; `testing.contract` needs pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import ScriptedModel
    from .playing_again import play_again
    from .recorded import recorded_messages, recorded_prompts, recorded_replies

__all__ = ["ScriptedModel", "play_again", "recorded_messages", "recorded_prompts", "recorded_replies"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "ScriptedModel":
        from .model import ScriptedModel

        return ScriptedModel
    if name == "play_again":
        from .playing_again import play_again

        return play_again
    from . import recorded

    return getattr(recorded, name)
