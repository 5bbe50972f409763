"""Errors carry what caused them, also to other processes."""

import copy
import inspect
import pickle
from datetime import datetime, timezone
from typing import Any

import pytest
from strands.types.exceptions import SessionException

from strands_session_log import EventId, errors
from strands_session_log.demo import child
from strands_session_log.moving import errors as moving_errors
from strands_session_log.session_manager import errors as manager_errors

ARGUMENTS: dict[str, Any] = {
    "differs": {"type": ("custom.a", "custom.b")},
    "session_id": "s",
    "revision": 3,
    "attempts": 100,
    "expected": {"agent": "a", "revision": 1},
    "actual": {"agent": "a", "revision": 2},
    "calls": {"a": ["add"]},
    "standing": [("0190", None)],
    "at": EventId(1_700_000_000_000, 3),
    "nearest": [EventId(1_700_000_000_000, 2)],
    "most": 10_000,
    "began": datetime(2026, 1, 31, tzinfo=timezone.utc),
}


def kinds() -> list[type[errors.SessionLogError]]:
    found = {
        value
        for module in (errors, moving_errors, manager_errors, child)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, errors.SessionLogError)
    }
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


def example(kind: type[errors.SessionLogError]) -> errors.SessionLogError:
    if kind.__init__ is Exception.__init__:
        return kind("what happened")
    parameters = list(inspect.signature(kind).parameters.values())
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return kind("what happened")
    return kind(*(ARGUMENTS.get(parameter.name, f"<{parameter.name}>") for parameter in parameters))


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_error_survives_the_way_to_another_process(kind: type[errors.SessionLogError]) -> None:
    error = example(kind)
    error.note = "kept"  # type: ignore[attr-defined]
    for restored in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(restored) is kind
        assert (str(restored), restored.args, vars(restored)) == (str(error), error.args, vars(error))


def test_an_error_of_the_session_manager_is_still_one_of_strands_when_it_arrives() -> None:
    error = manager_errors.AgentConflictError("s", {"revision": 1}, {"revision": 2})
    restored = pickle.loads(pickle.dumps(error))
    assert isinstance(restored, SessionException)
    assert isinstance(restored, manager_errors.AgentConflictError)
    assert (restored.expected, restored.actual) == ({"revision": 1}, {"revision": 2})


def test_a_missing_extra_arrives_as_the_import_error_it_is() -> None:
    error = errors.MissingExtraError("cli", "the command line")
    assert pickle.loads(pickle.dumps(error)).msg == error.msg


def test_an_unknown_outcome_says_how_to_settle_it() -> None:
    assert "again, with the same SessionLog" in str(errors.UnknownOutcomeError("s", "no reply"))


@pytest.mark.parametrize("kind", [errors.InvalidPointError, lambda value: errors.InvalidIdError("agent", value, "no")])
def test_a_value_python_refuses_to_write_out_does_not_hide_the_error(kind: Any) -> None:
    assert "<int>" in str(kind(10**5000))
