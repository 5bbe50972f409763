"""For tests of this library and of what is built on it: a local model, pytest fixtures, the contract suite.

`ScriptedModel` needs Strands, and is imported only when asked for; `testing.contract` needs pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import ScriptedModel

__all__ = ["ScriptedModel"]


def __getattr__(name: str) -> Any:
    if name != "ScriptedModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .model import ScriptedModel

    return ScriptedModel
