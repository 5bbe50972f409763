"""The one place where driver errors are told apart and become ours.

`insist` runs one command: errors that time may cure are waited out, all others are translated. Everything sent
through it must be harmless to repeat, because an attempt whose reply was lost may have been carried out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential
from valkey import exceptions as driver

from ..errors import OutOfMemoryError, ServerRefusedError, ServerUnavailableError, SessionLogError
from ..instrumentation import Retried
from ..instrumentation.hooks import hooks

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TRANSIENT = (
    driver.ConnectionError,
    driver.TimeoutError,
    driver.ClusterDownError,
    driver.TryAgainError,
    driver.ReadOnlyError,
    driver.AskError,
    driver.ValkeyClusterException,
)
_PERMANENT = (driver.AuthenticationError, driver.AuthorizationError)
_DEMOTED = ("UNBLOCKED", "MASTERDOWN")
"""What a primary says that has become a replica while somebody waited; valkey-py has no errors for it (`blocked.c`)."""


class Client(Protocol):
    """The part of a sync valkey-py client this library uses; `valkey.Valkey` and `valkey.ValkeyCluster` have it."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and return its parsed reply."""

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> Any:
        """Collect commands to send in one round trip."""

    def close(self) -> None:
        """Close its connections."""


def insist(call: Callable[[], T], retry_for: float) -> T:
    """Run a command that may be repeated.

    Args:
        call: Sends it and returns its reply.
        retry_for: For how many seconds transient errors are waited out; 0 means one attempt.

    Raises:
        ServerUnavailableError: When no attempt brought a reply; the command may or may not have been carried out.
        ServerRefusedError: When the server answered with an error.
        OutOfMemoryError: When that error is that `maxmemory` is reached.
    """
    try:
        return _patiently(call, retry_for)
    except SessionLogError:
        raise
    except driver.OutOfMemoryError as error:
        raise OutOfMemoryError(str(error)) from error
    except _PERMANENT as error:
        raise ServerRefusedError(f"{type(error).__name__}: {error}", "check user and password") from error
    except (*_TRANSIENT, driver.ValkeyError) as error:
        if is_transient(error):
            raise ServerUnavailableError(f"{type(error).__name__}: {error}") from error
        raise ServerRefusedError(str(error)) from error


def _patiently(call: Callable[[], T], retry_for: float) -> T:
    """Build the retry machinery only once something went wrong: it costs more than a command does."""
    try:
        return call()
    except (*_TRANSIENT, driver.ResponseError) as error:
        if retry_for <= 0 or not is_transient(error):
            raise
        logger.info("error=<%s> | waiting for the server", error)
        hooks.tell(Retried(type(error).__name__))
    return Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_delay(retry_for),
        wait=wait_random_exponential(multiplier=0.02, max=1.0),
        before_sleep=_tell,
        reraise=True,
    )(call)


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    hooks.tell(Retried(type(error).__name__))


def is_transient(error: BaseException) -> bool:
    """Whether the same command may succeed a little later: the server is restarting, promoted or cut off."""
    was_demoted = isinstance(error, driver.ResponseError) and str(error).startswith(_DEMOTED)
    return (isinstance(error, _TRANSIENT) or was_demoted) and not isinstance(error, _PERMANENT)


def text(value: bytes | str) -> str:
    """A reply as text, whether or not the client decodes."""
    return value.decode() if isinstance(value, bytes) else value


def options_of(client: Any) -> dict[str, Any]:
    """What the connections of a client are made with; nothing if it does not tell."""
    source = getattr(client, "connection_pool", None) or getattr(client, "nodes_manager", None)
    options: dict[str, Any] = getattr(source, "connection_kwargs", {})
    return options
