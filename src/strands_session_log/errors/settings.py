"""What users may set, checked where they set it: a mistake found later is a hang, or an error about something else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import ParamSpec, TypeVar

from .base import SessionLogError, shown

P = ParamSpec("P")
R = TypeVar("R")

YEARS = 10**10
"""Three hundred of them, in seconds: longer means that somebody has mistaken the unit."""


class InvalidSettingError(SessionLogError, ValueError):
    """What was given for a setting, and cannot be.

    Attributes:
        name: The setting.
        value: What was given, as text.
        cure: What to give instead.
    """

    def __init__(self, name: str, value: object, cure: str) -> None:
        self.name, self.value, self.cure = name, shown(value), cure
        super().__init__(f"{name}={self.value}: {cure}")


def check_whole(name: str, value: object, least: int, most: int = 10**12) -> None:
    """Accept a whole number within bounds.

    Raises:
        InvalidSettingError: When it is anything else.
    """
    if type(value) is not int or not least <= value <= most:
        raise InvalidSettingError(name, value, f"give a whole number from {least} to {most:,}")


def check_seconds(name: str, value: object, least: float = 0.0, most: float = YEARS) -> None:
    """Accept a duration within bounds.

    Raises:
        InvalidSettingError: When it is anything else.
    """
    # NaN is in no order with anything.
    if not (isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most):
        raise InvalidSettingError(name, value, f"must be at least {least} seconds, and at most {most:,}")


def check_flag(name: str, value: object) -> None:
    """Accept `True` or `False`: the text `no` would mean yes.

    Raises:
        InvalidSettingError: When it is anything else.
    """
    if not isinstance(value, bool):
        raise InvalidSettingError(name, value, "give True or False")


def check_kind(name: str, value: object, kind: type) -> None:
    """Accept an object of a class.

    Raises:
        InvalidSettingError: When it is anything else.
    """
    if not isinstance(value, kind):
        raise InvalidSettingError(name, value, f"give a {kind.__name__}")


def check_log(log: object) -> None:
    """Accept a log, or what can be used like one; a URL is none, and is not told, as it may have a password.

    Raises:
        InvalidSettingError: When it is anything else.
    """
    if not callable(getattr(log, "session_ids", None)):
        raise InvalidSettingError("log", type(log), "give a SessionLog, as SessionLog.connect(url) makes it")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Accept one of several words.

    Raises:
        InvalidSettingError: When it is anything else.
    """
    if value not in choices:
        raise InvalidSettingError(name, value, f"give {', '.join(choices[:-1])} or {choices[-1]}")


class InvalidPolicyError(SessionLogError, ValueError):
    """A file of retention policies has a mistake; nothing was deleted.

    Attributes:
        file: Its name.
        line: Where; None where that is not known.
        field: Which field, `policy[2].older_than`; empty where it is about the file as a whole.
        reason: What is wrong.
    """

    def __init__(self, file: str, line: int | None, field: str, reason: str) -> None:
        self.file, self.line, self.field, self.reason = file, line, field, reason
        where = "".join((file, f", line {line}" if line else "", f", {field}" if field else ""))
        super().__init__(f"{where}: {reason}")


class UnknownArgumentError(SessionLogError, TypeError):
    """An argument was given by a name that there is none of; misspelt, its setting would not hold.

    Attributes:
        function: What it was given to.
        name: The name.
        meant: The nearest there is; empty when none is near.
    """

    def __init__(self, function: str, name: str, meant: str, known: str) -> None:
        self.function, self.name, self.meant = function, name, meant
        cure = f"did you mean {meant!r}?" if meant else f"it takes {known}"
        super().__init__(f"{function} takes no argument {name!r}: {cure}")


def refuse_unknown(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function with many settings name the one that was meant; Python itself does so since 3.13 only.

    Args:
        function: Has no `**kwargs`, so that type checkers refuse the same ones.
    """
    parameters = inspect.signature(function).parameters.values()
    known = [one.name for one in parameters if one.kind is not one.POSITIONAL_ONLY and one.name not in ("self", "cls")]
    name = function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for given in kwargs.keys() - known:
            meant = get_close_matches(given, known, 1)
            raise UnknownArgumentError(name, given, meant[0] if meant else "", ", ".join(known))
        return function(*args, **kwargs)

    return checked


def with_settings_of(other: Callable[..., object]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function whose `**settings` are another's show them by name, as it is looked at: in help, in an editor.

    Args:
        other: Its keyword-only arguments are the settings.
    """
    named = [one for one in inspect.signature(other).parameters.values() if one.kind is one.KEYWORD_ONLY]

    def with_settings(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        function.__signature__ = signature.replace(parameters=[*own, *named])  # type: ignore[attr-defined]
        return function

    return with_settings


class MissingExtraError(SessionLogError, ImportError):
    """An optional part of the package is not installed."""

    def __init__(self, extra: str, purpose: str) -> None:
        self.extra, self.purpose = extra, purpose
        super().__init__(f"{purpose} needs an extra: pip install 'strands-session-log[{extra}]'")
