"""Who is told of what the library does in this process. As long as nobody is, it costs one look at an attribute."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from threading import Lock
from typing import Protocol

from .details import Detail

logger = logging.getLogger(__name__)

_NOT_AWAITED = "hooks are called in any thread, and the library does not await them"


class Hook(Protocol):
    """Is told of everything the library does; what it does not know, it should ignore.

    It is called where it happens, in any thread, perhaps in several at once: it must be quick. What it returns is not
    awaited.
    """

    def __call__(self, detail: Detail, /) -> object:
        """Take note."""


class Hooks:
    """The hooks of one process.

    Attributes:
        active: Those who are told; empty when nobody is, which is what to look at before going to any length.
    """

    def __init__(self) -> None:
        self.active: tuple[Hook, ...] = ()
        self._lock = Lock()
        self._raised: tuple[Hook, ...] = ()

    def tell(self, detail: Detail) -> None:
        """Tell every hook; one that raises is logged once, and disturbs nobody."""
        for hook in self.active:
            try:
                if (returned := hook(detail)) is not None:
                    _refuse_awaitable(hook, returned)
            except Exception:
                if not any(hook is known for known in self._raised):
                    self._raised += (hook,)
                    logger.warning("hook=<%r>, detail=<%r> | a hook raised", hook, detail, exc_info=True)

    def set(self, hooks: Iterable[Hook]) -> None:
        """Tell these, and no others."""
        these = tuple(hooks)
        for hook in these:
            _refuse_coroutine_function(hook)
        with self._lock:
            self.active, self._raised = these, ()

    def add(self, hook: Hook) -> None:
        """Tell this one, too; once, however often it is added."""
        _refuse_coroutine_function(hook)
        with self._lock:
            if not any(hook is known for known in self.active):
                self.active = (*self.active, hook)


def _refuse_coroutine_function(hook: Hook) -> None:
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__):
        raise TypeError(f"hook={hook!r}: give a plain function; {_NOT_AWAITED}")


def _refuse_awaitable(hook: Hook, returned: object) -> None:
    if inspect.isawaitable(returned):
        if inspect.iscoroutine(returned):
            returned.close()
        raise TypeError(f"hook={hook!r}: it returned {type(returned).__name__!r}; {_NOT_AWAITED}")


hooks = Hooks()
"""Those of this process."""
