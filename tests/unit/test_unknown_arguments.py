"""A misspelt argument is refused where it is given: what it was to set would silently not hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from strands_session_log import LiveTokens, SessionLog, SessionRecorder, Subscriber, ValkeySessionManager
from strands_session_log.errors import SessionLogError, UnknownArgumentError

MADE: dict[str, tuple[Callable[..., object], str, str]] = {
    "hold_user_mesages": (ValkeySessionManager, "ValkeySessionManager", "hold_user_messages"),
    "verify_on_resum": (ValkeySessionManager, "ValkeySessionManager", "verify_on_resume"),
    "namespase": (SessionLog.connect, "SessionLog.connect", "namespace"),
    "duarbility": (SessionLog, "SessionLog", "durability"),
    "ordred": (Subscriber, "Subscriber", "ordered"),
    "bufer": (SessionRecorder, "SessionRecorder", "buffer"),
    "intervall": (LiveTokens, "LiveTokens", "interval"),
}


@pytest.mark.parametrize("name", MADE)
def test_a_misspelt_argument_is_refused_with_the_one_that_was_meant(name: str) -> None:
    make, called, meant = MADE[name]
    with pytest.raises(UnknownArgumentError, match=f"^{called} takes no argument '{name}': did you mean") as caught:
        make("s", "s", **{name: True})
    assert (caught.value.function, caught.value.name, caught.value.meant) == (called, name, meant)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, SessionLogError)


def test_one_that_is_like_none_is_refused_with_all_there_are() -> None:
    make: Callable[..., object] = ValkeySessionManager
    with pytest.raises(UnknownArgumentError, match="'lifetime': it takes session_id, client, log, url, namespace"):
        make("s", lifetime=3600)


@pytest.mark.parametrize(
    "made", [ValkeySessionManager, SessionLog, SessionLog.connect, Subscriber, SessionRecorder, LiveTokens]
)
def test_editors_and_type_checkers_see_every_argument_by_name(made: Any) -> None:
    kinds = {one.kind for one in inspect.signature(made).parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
