"""The one place where driver errors are told apart and become ours.

`with_retries` runs one command: errors that time may cure are waited out, all others are translated. Everything sent
through it must be harmless to repeat, because an attempt whose reply was lost may have been carried out. Whether one
was, the error says that ends the call: `may_have_written`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from valkey import exceptions as driver

from ..concurrency import Backoff
from ..errors import (
    ClusterNotReadyError,
    DiskWriteError,
    EmbeddedServerError,
    ForbiddenError,
    NotEnoughReplicasError,
    OutOfMemoryError,
    ReadOnlyServerError,
    ServerBusyError,
    ServerLoadingError,
    ServerNotReadyError,
    ServerRefusedError,
    ServerUnavailableError,
    SessionLogError,
)
from ..instrumentation import Retried
from ..instrumentation.hooks import hooks
from .timed import Timing, here
from .tls import HandshakeError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_GRACE = 0.5
"""Seconds that an attempt has beyond the time of its call: the last one begins when that is over."""
ANSWERED_WITHIN = 10.0
"""Seconds after which a server counts as away to whoever follows, where the client has no time-outs of its own."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_DRIVER = (driver.ValkeyError, driver.ValkeyClusterException)
_PERMANENT = (driver.AuthenticationError, driver.AuthorizationError)
_QUOTED = ", with args beginning with:"
_IN_SCRIPTS = ("ACL failure in script", "The user executing the script can't")
"""How Valkey, and Redis 7.0, say that a user may run a script, and not what it does."""
_UNREACHED = (driver.ConnectionError, driver.TimeoutError, driver.ValkeyClusterException)
# A primary that has become a replica while somebody waited says UNBLOCKED; valkey-py has no errors for the second row.
_NOT_READY: tuple[tuple[type[Exception] | str, type[ServerNotReadyError]], ...] = (
    (driver.ReadOnlyError, ReadOnlyServerError),
    (driver.MasterDownError, ReadOnlyServerError),
    (driver.OutOfMemoryError, OutOfMemoryError),
    (driver.BusyLoadingError, ServerLoadingError),
    (driver.ClusterError, ClusterNotReadyError),
    (driver.TryAgainError, ClusterNotReadyError),
    (driver.AskError, ClusterNotReadyError),
    ("UNBLOCKED", ReadOnlyServerError),
    ("MASTERDOWN", ReadOnlyServerError),
    ("BUSY", ServerBusyError),
    ("NOREPLICAS", NotEnoughReplicasError),
    ("MISCONF", DiskWriteError),
    ("CLUSTERDOWN", ClusterNotReadyError),
    ("TRYAGAIN", ClusterNotReadyError),
)
"""By the error's class, or the first word of what the server said: it refuses before anything is written, for now."""


def with_retries(call: Callable[[], T], retry_for: float, within: float | None = None) -> T:
    """Run a command that may be repeated; see `attempted`.

    Returns:
        Its reply.
    """
    return attempted(call, retry_for, within)[0]


def attempted(call: Callable[[], T], retry_for: float, within: float | None = None) -> tuple[T, bool]:
    """Run a command that may be repeated, and say whether it may have been carried out more than once.

    Args:
        call: Sends it and returns its reply.
        retry_for: For how many seconds trouble that time may cure is waited out, an attempt that brings no answer
            among it; 0 means one attempt, which only the client's own time-outs bound.
        within: For how many seconds that one attempt may take in any case.

    Returns:
        Its reply; and whether there was another attempt before, by us or by the driver, that brought none.

    Raises:
        ServerUnavailableError: When no attempt brought a reply; the command may or may not have been carried out.
        ServerRefusedError: When the server answered with an error; a `ServerNotReadyError` if it did so until the end.
    """
    outer = here.call
    most = retry_for + _GRACE if retry_for > 0 else within
    timing = Timing()
    timing.until = None if most is None else time.monotonic() + most
    if outer is not None and outer.until is not None:
        timing.until = outer.until if timing.until is None else min(timing.until, outer.until)
    here.call = timing
    try:
        return call(), timing.lost
    except (*_DRIVER, EmbeddedServerError) as error:
        return _again(call, timing.barred or error, timing, retry_for), True
    finally:
        here.call = outer
        if outer is not None:
            outer.lost = outer.lost or timing.lost


def told_apart(replies: Iterable[Any]) -> list[Any]:
    """The replies to several commands; in place of one about a key of another type, a `ServerRefusedError`.

    Raises:
        ValkeyError: Any other error among them.
    """
    return [_told(reply) if isinstance(reply, Exception) else reply for reply in replies]


def raised(replies: Iterable[Any]) -> list[Any]:
    """The replies to several commands.

    Raises:
        ValkeyError: The first error among them.
    """
    found = list(replies)
    for reply in found:
        if isinstance(reply, Exception):
            raise reply
    return found


def is_already_there(reply: object) -> bool:
    """Whether the server refused an entry because its stream goes as far, or further: as when it is added once more."""
    return isinstance(reply, driver.ResponseError) and "equal or smaller than" in str(reply)


def _told(error: Exception) -> ServerRefusedError:
    if isinstance(error, driver.ResponseError) and (refused := ServerRefusedError(str(error))).is_wrong_type:
        return refused
    raise error


def as_ours(error: Exception) -> SessionLogError:
    """What an error is to ours that the server has answered in place of a reply."""
    _take_arguments_out(error)
    return _translated(error, _is_lost(error))


def may_have_written(error: BaseException) -> bool:
    """Whether a call that was ended by this error may have been carried out by one of its attempts."""
    return bool(getattr(error, "may_have_written", True))


def is_transient(error: BaseException) -> bool:
    """Whether time may cure it, so that the same will succeed later; of the driver's errors and of ours.

    The server is restarting, promoted, full, busy or cut off. A call waits for that as long as it may, and who follows
    (`outage`) as long as it takes. That includes a `TlsError`, which ends a call at once: a certificate is renewed.
    """
    return not isinstance(error, _PERMANENT) and (
        isinstance(error, (*_UNREACHED, ServerUnavailableError)) or _not_ready(error) is not None
    )


def _again(call: Callable[[], T], error: Exception, timing: Timing, retry_for: float) -> T:
    """Go on after a first attempt that failed."""
    lost, backoff, is_told = _is_lost(error), Backoff(_FIRST_PAUSE, _LONGEST_PAUSE), False
    give_up = timing.until - _GRACE if timing.until is not None and retry_for > 0 else 0.0
    while is_transient(error) and (left := give_up - time.monotonic()) > 0:
        if not is_told:
            is_told = True
            if here.waits is None:
                logger.info("error=<%s> | waiting for the server", error)
            else:
                here.waits(_ours(error))
        hooks.tell(Retried(type(error).__name__))
        time.sleep(min(left, backoff.pause()))
        try:
            return call()
        except (*_DRIVER, EmbeddedServerError) as again:
            _take_arguments_out(again)
            lost, error = lost or _is_lost(again), timing.barred or again
    _take_arguments_out(error)
    raise _translated(error, lost or timing.lost) from (error if isinstance(error, _DRIVER) else error.__cause__)


def _take_arguments_out(error: BaseException) -> None:
    """A server that does not know a command repeats its arguments: passwords (`HELLO 3 AUTH …`), or what was said."""
    seen: BaseException | None = error
    while seen is not None:
        if _QUOTED in str(seen):
            seen.args = (str(seen).partition(_QUOTED)[0],)
        seen = seen.__cause__ or seen.__context__


def _is_lost(error: Exception) -> bool:
    """Whether an attempt that ended so may have been carried out, as far as its error tells."""
    return isinstance(error, _UNREACHED) and not isinstance(error, (driver.BusyLoadingError, *_PERMANENT))


def _translated(error: Exception, lost: bool) -> SessionLogError:
    ours = _ours(error)
    ours.may_have_written = lost
    return ours


def _ours(error: Exception) -> ServerRefusedError | ServerUnavailableError:
    if isinstance(error, ServerUnavailableError):
        return error
    if isinstance(error, HandshakeError):
        return error.explained
    if isinstance(error, _PERMANENT):
        return ServerRefusedError(f"{type(error).__name__}: {error}", "check user and password")
    if isinstance(error, driver.AskError):
        # The driver keeps only where to ask.
        return ClusterNotReadyError(f"{'MOVED' if isinstance(error, driver.MovedError) else 'ASK'} {error}")
    if kind := _not_ready(error):
        return kind(str(error) or type(error).__name__)
    if isinstance(error, _UNREACHED):
        return ServerUnavailableError(f"{type(error).__name__}: {error}")
    # In the second case the user may run the script, and not what it does.
    is_forbidden = isinstance(error, driver.NoPermissionError) or any(one in str(error) for one in _IN_SCRIPTS)
    if is_forbidden:
        return ForbiddenError(str(error))
    refused = ServerRefusedError(str(error))
    too_large = "something is larger than the server's proto-max-bulk-len"
    return ServerRefusedError(refused.reason, too_large) if refused.is_too_large else refused


def _not_ready(error: BaseException) -> type[ServerNotReadyError] | None:
    word = str(error).partition(" ")[0] if isinstance(error, driver.ResponseError) else ""
    for sign, kind in _NOT_READY:
        if word == sign if isinstance(sign, str) else isinstance(error, sign):
            return kind
    return None
