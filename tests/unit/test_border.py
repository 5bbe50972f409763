"""Driver errors become ours at one place."""

from collections.abc import Callable

import pytest
from valkey import exceptions as driver

from strands_session_log.errors import OutOfMemoryError, ServerRefusedError, ServerUnavailableError
from strands_session_log.server.border import insist

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
    assert insist(failing(error, error), 5) == "answer"


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
        insist(failing(error), 0)
    assert raised.value.__cause__ is error
