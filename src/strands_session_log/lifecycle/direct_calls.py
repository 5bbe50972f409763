"""What an agent holds after a tool was called directly, `agent.tool.name(…)`.

Strands records that as four messages, then lets the conversation manager trim what the agent holds, and tells nobody of
that. So with the last of the four it is worked out on a copy what that is about to do.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeGuard, cast

from strands.agent.conversation_manager import SlidingWindowConversationManager

_LAST_WORDS = re.compile(r"agent\.(tool\.)?\S+ was called\.?")
"""With and without what newer versions of Strands say in them."""


def ends_direct_call(message: Any) -> bool:
    """Whether a message is the last of those that record a direct tool call; a model may say the same."""
    blocks = message["content"]
    text = blocks[0].get("text") if len(blocks) == 1 and message["role"] == "assistant" else None
    return isinstance(text, str) and _LAST_WORDS.fullmatch(text) is not None


def about_to_hold(agent: Any, heard: Sequence[Any], state: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
    """What an agent is about to hold, and the state of its conversation manager then.

    Code of the user's own decides about other conversation managers; what they trim is told with what comes next.

    Args:
        agent: The agent.
        heard: What it holds up to the message that was just added.
        state: The state of its conversation manager.
    """
    manager = getattr(agent, "conversation_manager", None)
    if not heard or not ends_direct_call(heard[-1]) or not _slides(manager):
        return heard, state
    ahead, holder = copy.copy(manager), cast(Any, _Holder(agent))
    # What it cannot do is Strands' to tell.
    with suppress(Exception):
        ahead.apply_management(holder)
    return holder.messages, ahead.get_state()


def _slides(manager: Any) -> TypeGuard[SlidingWindowConversationManager]:
    sliding = SlidingWindowConversationManager
    names = ("apply_management", "reduce_context", "get_state")
    return isinstance(manager, sliding) and all(
        getattr(type(manager), name) is getattr(sliding, name) for name in names
    )


class _Holder:
    """An agent, as far as its conversation manager looks at it, whose messages may be changed."""

    def __init__(self, agent: Any) -> None:
        self._agent, self.messages = agent, copy.deepcopy(agent.messages)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agent, name)
