"""For tests of this library and of what is built on it: a local model, pytest fixtures, the contract suite.

`ScriptedModel` needs Strands, and is imported only when asked for; `testing.contract` needs pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import ScriptedModel
    from .recorded import recorded_prompts, recorded_replies

__all__ = ["ScriptedModel", "recorded_prompts", "recorded_replies"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "ScriptedModel":
        from .model import ScriptedModel

        return ScriptedModel
    from . import recorded

    return getattr(recorded, name)
