"""What holds connections and what is not written yet is not copied: the error says what to do instead."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from strands_session_log import LiveTokens, SessionLog, SessionRecorder, Subscriber, ValkeySessionManager
from strands_session_log.errors import NotCopiedError

MAKE: dict[str, Callable[[SessionLog], Any]] = {
    "SessionLog": lambda log: log,
    "ValkeySessionManager": lambda log: ValkeySessionManager("s", log=log),
    "SessionRecorder": lambda log: SessionRecorder(log, "s"),
    "LiveTokens": lambda log: LiveTokens(log, "s"),
    "Subscriber": lambda log: Subscriber(log, "audit"),
}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("name", MAKE)
def test_it_is_refused_in_a_sentence_that_says_what_to_do(
    session_log: SessionLog, name: str, copied: Callable[[object], object]
) -> None:
    with pytest.raises(
        NotCopiedError, match=f"^a {name} cannot be copied or pickled, it holds .*; [a-z ,]+$"
    ) as caught:
        copied(MAKE[name](session_log))
    assert isinstance(caught.value, TypeError)
    assert pickle.loads(pickle.dumps(caught.value)).kind == name
