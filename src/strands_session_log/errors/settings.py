"""What users may set, checked where they set it: a mistake found later is a hang, or an error about something else."""

from __future__ import annotations

from .base import SessionLogError, shown

YEARS = 10**10
"""Three hundred of them, in seconds: longer means that somebody has mistaken the unit."""


def check_whole(name: str, value: object, least: int, most: int = 10**12) -> None:
    """Accept a whole number within bounds.

    Raises:
        SessionLogError: When it is anything else.
    """
    if type(value) is not int or not least <= value <= most:
        raise SessionLogError(f"{name}={shown(value)}: give a whole number from {least} to {most:,}")


def check_seconds(name: str, value: object, least: float = 0.0, most: float = YEARS) -> None:
    """Accept a duration within bounds.

    Raises:
        SessionLogError: When it is anything else.
    """
    # NaN is in no order with anything.
    if not (isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most):
        raise SessionLogError(f"{name}={shown(value)}: must be at least {least} seconds, and at most {most:,}")
