"""Exit codes scripts can use, and every failure in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn

import typer

from .. import errors
from .output import OutputError, abandon
from .terminal import local, note


class Code(IntEnum):
    """How `session-log` ends; the numbers are part of its interface."""

    OK = 0
    PROBLEMS = 1
    USAGE = 2
    NOT_FOUND = 3
    SERVER = 4
    OUTPUT = 5
    UNREADABLE = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141


EPILOG = (
    "Exit codes: 0 all is well; 1 verify, doctor, demo, import or export found problems, grep found nothing, a session "
    "is held, or a question was declined; 2 wrong usage; 3 no such session, group or parked event; 4 the server cannot "
    "be reached, or refused; 5 the output cannot be written; 6 the key of encrypted content is missing, wrong or "
    "shredded, or grep could not read all that it was to search."
)

# Typer has a copy of Click of its own, and names of its classes those that it means to.
_CommandLineError: Any = typer.BadParameter.__mro__[1]
_WRONG_USAGE = (
    errors.BundleError,
    errors.ForkedKeyError,
    errors.InvalidAnchorError,
    errors.InvalidIdError,
    errors.InvalidPointError,
    errors.InvalidPolicyError,
    errors.InvalidSettingError,
    errors.InvalidUrlError,
    errors.KeyStoreError,
    errors.MessageNotEditableError,
    errors.MissingExtraError,
    errors.RevisionNotFoundError,
    errors.SealBusyError,
    errors.SealKeyError,
    errors.SealMismatchError,
    errors.SessionExistsError,
    errors.SessionNotBegunError,
    errors.SessionNotHeldError,
    errors.UnansweredToolCallsError,
)
_NOT_FOUND = (
    errors.GroupNotFoundError,
    errors.ParkedNotFoundError,
    errors.SealNotFoundError,
    errors.SessionDeletedError,
    errors.SessionNotFoundError,
)
_SEALED = (
    errors.KeyMissingError,
    errors.KeyShreddedError,
    errors.SessionEncryptedError,
    errors.WrongKeyError,
)
_TELLS_ENOUGH = (
    errors.BundleNotIntactError,
    errors.CorruptKeyError,
    errors.EmbeddedServerError,
    errors.ImportRefusedError,
    errors.SealDamagedError,
    errors.ServerNotReadyError,
    errors.SessionDeletedError,
    errors.TlsError,
)
DAMAGED = (
    errors.BundleNotIntactError,
    errors.CorruptEntryError,
    errors.CorruptKeyError,
    errors.EnvelopeMismatchError,
    errors.ImportRefusedError,
    errors.LogForkedError,
    errors.SealDamagedError,
    errors.SnapshotMismatchError,
)


def fail(code: Code, message: str) -> NoReturn:
    """End with one line on stderr."""
    note(message)
    raise typer.Exit(code)


@contextmanager
def failures_in_one_line() -> Iterator[None]:
    """Let whatever goes wrong end the program with one line and an exit code of its own, never a traceback."""
    try:
        yield
    except errors.SessionLogError as error:
        fail(_code(error), _with_cure(error))
    except KeyboardInterrupt:
        # After the ^C that the terminal has put there.
        typer.echo(err=True)
        raise typer.Exit(Code.INTERRUPTED) from None
    except BrokenPipeError:
        # Standard error's: that of standard output is an `OutputError`.
        raise typer.Exit(Code.BROKEN_PIPE) from None


@contextmanager
def failures_explained(explain: Callable[[errors.SessionLogError], str]) -> Iterator[None]:
    """Let what was not found end the program with more than the error knows, as long as somebody can be asked."""
    try:
        yield
    except (*_NOT_FOUND, errors.RevisionNotFoundError) as error:
        if told := explain(error):
            fail(_code(error), told)
        raise


def ended(run: Callable[[], Any]) -> int:
    """Run the program, or a part of it, and tell with which code it is to end."""
    try:
        try:
            return int(run() or Code.OK)
        except _CommandLineError as error:
            return _wrong_usage(error)
        finally:
            # Not left to the interpreter's exit, which would complain aloud, and end with a code of its own.
            sys.stdout.flush()
    except OutputError as error:
        abandon(sys.stdout)
        if error.is_gone:
            return Code.BROKEN_PIPE
        note(f"standard output cannot be written: {error.reason}")
        return Code.OUTPUT


def _wrong_usage(error: Any) -> int:
    """Tell in one line what is wrong with what was typed; Typer would draw a box of five."""
    command, message = error.ctx.command_path if error.ctx else "session-log", error.format_message()
    # Without any command there is help, which has been printed.
    if type(error).__name__ != "NoArgsIsHelpError":
        end = " See" if message.endswith("?") else "; see"
        note(f"{message[:1].lower()}{message[1:].rstrip('. ')}{end} `{command} --help`")
    return Code.USAGE


def _code(error: errors.SessionLogError) -> Code:
    match error:
        case _ if isinstance(error, _WRONG_USAGE):
            return Code.USAGE
        case _ if isinstance(error, _NOT_FOUND):
            return Code.NOT_FOUND
        case _ if isinstance(error, _SEALED):
            return Code.UNREADABLE
        case _ if isinstance(error, (*DAMAGED, errors.SessionHeldError)):
            return Code.PROBLEMS
        case errors.SealUnwritableError():
            return Code.OUTPUT
    return Code.SERVER


def _with_cure(error: errors.SessionLogError) -> str:
    """The message of the library, with what to do about it on a command line."""
    match error:
        case errors.SessionNotBegunError():
            return f"session {error.session_id!r} had not begun by then; it did at {local(error.began, '%H:%M:%S')}"
        case errors.SessionNotFoundError():
            return f"{error}; `session-log sessions` lists those there are"
        case errors.RevisionNotFoundError():
            return f"{error}; `session-log events` lists those it has"
        case errors.UnansweredToolCallsError() | errors.SessionHeldError():
            told = str(error).replace("set allow_unanswered=True", "pass --allow-unanswered")
            return told.replace("log.retention.release", "`session-log release`; `session-log holds` tells who and why")
        case errors.ServerUnavailableError() if not isinstance(error, _TELLS_ENOUGH):
            return f"{str(error).rstrip('.')}; check that it runs, and what --url or SESSION_LOG_URL says"
        case errors.ServerRefusedError(cure="") if not isinstance(error, _TELLS_ENOUGH):
            return f"{error}; `session-log doctor` tells what the server lacks"
        case _ if isinstance(error, DAMAGED) and not isinstance(error, _TELLS_ENOUGH):
            return f"{error}; `session-log verify` tells what is wrong"
    return str(error)
