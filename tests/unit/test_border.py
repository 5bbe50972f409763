"""Driver errors become ours at one place."""

import time
import traceback
from collections.abc import Callable

import pytest
from valkey import exceptions as driver

from strands_session_log import errors
from strands_session_log.errors import OutOfMemoryError, ServerRefusedError, ServerUnavailableError
from strands_session_log.ids import START
from strands_session_log.server.errors import is_transient, may_have_written, with_retries
from strands_session_log.server.timed import here

UNKNOWN = "unknown command 'HELLO', with args beginning with:"
DEMOTED = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"


def failing(*errors: Exception) -> Callable[[], str]:
    left = iter(errors)

    def call() -> str:
        for error in left:
            raise error
        return "answer"

    return call


@pytest.mark.parametrize("error", [driver.ConnectionError("gone"), driver.ResponseError(DEMOTED)])
def test_what_time_cures_is_waited_out(error: Exception) -> None:
    assert with_retries(failing(error, error), 5) == "answer"


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (driver.ResponseError(DEMOTED), ServerUnavailableError),
        (driver.TimeoutError("late"), ServerUnavailableError),
        (driver.ResponseError("ERR wrong"), ServerRefusedError),
        (driver.AuthenticationError("no"), ServerRefusedError),
        (driver.OutOfMemoryError("full"), OutOfMemoryError),
    ],
)
def test_what_is_not_waited_out_becomes_an_error_of_ours_with_its_cause(error: Exception, ours: type) -> None:
    with pytest.raises(ours) as raised:
        with_retries(failing(error), 0)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_a_server_that_repeats_arguments_does_so_to_nobody(attempt: int) -> None:
    """It may be another server by the second attempt, an old one, or a proxy."""
    repeating = driver.ResponseError("unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 'hunter2'")
    before = [driver.BusyLoadingError("Valkey is loading the dataset in memory")] * (attempt - 1)
    with pytest.raises(ServerRefusedError, match="unknown command 'HELLO'") as raised:
        with_retries(failing(*before, repeating), 5)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


NOT_READY = [
    (driver.ReadOnlyError("You can't write against a read only replica."), errors.ReadOnlyServerError),
    (driver.ResponseError(DEMOTED), errors.ReadOnlyServerError),
    (driver.ResponseError("MASTERDOWN Link with MASTER is down"), errors.ReadOnlyServerError),
    (driver.MasterDownError("Link with MASTER is down"), errors.ReadOnlyServerError),
    (driver.OutOfMemoryError("command not allowed"), errors.OutOfMemoryError),
    (driver.BusyLoadingError("Valkey is loading the dataset in memory"), errors.ServerLoadingError),
    (driver.ResponseError("BUSY Valkey is busy running a script."), errors.ServerBusyError),
    (driver.ResponseError("NOREPLICAS Not enough good replicas to write."), errors.NotEnoughReplicasError),
    (driver.ResponseError("MISCONF Errors writing to the AOF file"), errors.DiskWriteError),
    (driver.ClusterError("TTL exhausted."), errors.ClusterNotReadyError),
    (driver.ClusterDownError("Hash slot not served"), errors.ClusterNotReadyError),
    (driver.ResponseError("CLUSTERDOWN The cluster is down"), errors.ClusterNotReadyError),
    (driver.TryAgainError("Multiple keys request during rehashing of slot"), errors.ClusterNotReadyError),
]


@pytest.mark.parametrize(("error", "ours"), NOT_READY)
def test_a_refusal_for_now_is_waited_out_then_told_with_its_class_and_has_written_nothing(
    error: Exception, ours: type[errors.ServerNotReadyError]
) -> None:
    assert with_retries(failing(error, error), 5) == "answer"
    with pytest.raises(ours) as raised:
        with_retries(failing(error), 0)
    assert type(raised.value) is ours
    assert not may_have_written(raised.value)


def test_a_refusal_after_an_attempt_without_an_answer_leaves_open_whether_that_was_carried_out() -> None:
    with pytest.raises(ServerRefusedError) as raised:
        with_retries(failing(driver.TimeoutError("late"), driver.ResponseError("ERR wrong")), 5)
    assert may_have_written(raised.value)


@pytest.mark.parametrize("word", ["BUSYGROUP Consumer Group name already exists", "BUSYKEY Target key name is busy"])
def test_what_only_begins_like_a_refusal_for_now_is_final(word: str) -> None:
    with pytest.raises(ServerRefusedError) as raised:
        with_retries(failing(driver.ResponseError(word)), 60)
    assert type(raised.value) is ServerRefusedError


def test_what_ends_a_call_otherwise_leaves_everything_open() -> None:
    assert may_have_written(KeyboardInterrupt())
    assert may_have_written(errors.UnknownOutcomeError("s", "WAIT reported 0"))


@pytest.mark.parametrize(("error", "ours"), NOT_READY)
def test_who_follows_waits_for_what_a_call_waits_for_whether_or_not_it_is_translated(
    error: Exception, ours: type[errors.ServerNotReadyError]
) -> None:
    assert is_transient(error)
    assert is_transient(ours("for now"))
    assert is_transient(errors.ServerUnavailableError("away"))


@pytest.mark.parametrize(
    "error",
    [
        errors.ServerRefusedError("NOPERM this user has no permissions"),
        errors.LogForkedError("s", START),
        driver.AuthenticationError("no"),
        driver.ResponseError("WRONGTYPE Operation against a key"),
        ValueError("junk"),
    ],
)
def test_what_time_does_not_cure_ends_who_follows(error: Exception) -> None:
    assert not is_transient(error)


def test_a_redirection_says_that_it_is_one() -> None:
    with pytest.raises(errors.ClusterNotReadyError, match=r"ASK 8373 127\.0\.0\.1:7000"):
        with_retries(failing(driver.AskError("8373 127.0.0.1:7000")), 0)


def test_one_attempt_can_be_bounded() -> None:
    """What it waits for looks at the time that its thread has (`timed`)."""
    left: list[float] = []

    def call() -> None:
        assert here.call is not None
        assert here.call.until is not None
        left.append(here.call.until - time.monotonic())

    with_retries(call, 0, within=3)
    assert 2 < left[0] <= 3


def test_arguments_that_a_server_repeats_are_shown_by_no_attempt() -> None:
    replies: list[Exception] = [driver.ConnectionError("away"), driver.ResponseError(f"{UNKNOWN} 'hunter2'")]

    def call() -> None:
        raise replies.pop(0)

    with pytest.raises(ServerRefusedError, match="unknown command 'HELLO'") as caught:
        with_retries(call, 5)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
