"""Listening to Strands: which hooks this version has, and whether they may wait.

Strands runs a hook that is a coroutine function without blocking its event loop. Old versions know sync hooks only,
and every version calls `AgentInitializedEvent` hooks synchronously.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import Any, TypeAlias

from strands.hooks import HookRegistry

from .threads import run_in_thread

Writer: TypeAlias = "Callable[[], None] | None"
"""What has to be written over the network; None when nothing has."""

Handler: TypeAlias = "Callable[[Any], Writer]"
"""Takes a hook event, where it happened, and says what has to be written."""

CAN_WAIT = hasattr(HookRegistry, "invoke_callbacks_async")
"""Whether this version of Strands awaits hooks."""

CAN_ORDER = "order" in signature(HookRegistry.add_callback).parameters
"""Whether this version of Strands lets hooks choose their place."""

_ELSEWHERE = {
    "BeforeToolCallEvent": ("strands.experimental.hooks", "BeforeToolInvocationEvent"),
    "AfterToolCallEvent": ("strands.experimental.hooks", "AfterToolInvocationEvent"),
    "BeforeModelCallEvent": ("strands.experimental.hooks", "BeforeModelInvocationEvent"),
    "AfterModelCallEvent": ("strands.experimental.hooks", "AfterModelInvocationEvent"),
    "BidiAgentStopEvent": ("strands.bidi.hooks", "BidiAgentStopEvent"),
}


def listen(registry: Any, name: str, handle: Handler) -> None:
    """Call a handler for a hook event, if this version of Strands has it.

    Args:
        registry: A Strands hook registry.
        name: The event's class name in `strands.hooks`.
        handle: Runs where the event happened; what it returns is run in a thread where Strands can wait for it.
    """
    kind = hook_event(name)
    if kind is not None:
        registry.add_callback(kind, _waiting(handle) if CAN_WAIT else _blocking(handle))


class Ordered:
    """A hook registry in which everything has the same place; old versions of Strands know only their own order."""

    def __init__(self, registry: Any, order: float) -> None:
        self._registry, self._options = registry, {"order": order} if CAN_ORDER else {}

    def add_callback(self, kind: Any, callback: Any) -> None:
        """As Strands' own."""
        self._registry.add_callback(kind, callback, **self._options)


def hook_event(name: str) -> Any:
    """The class of a hook event; None when this version has none."""
    for module, attribute in (("strands.hooks", name), _ELSEWHERE.get(name, ("", ""))):
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError, ValueError):
            continue
    return None


def _waiting(handle: Handler) -> Any:
    async def hook(event: Any) -> None:
        write = handle(event)
        if write is not None:
            await run_in_thread(write)

    return hook


def _blocking(handle: Handler) -> Any:
    def hook(event: Any) -> None:
        write = handle(event)
        if write is not None:
            write()

    return hook
