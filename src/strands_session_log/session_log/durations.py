"""Durations as people write them: `90d`."""

from __future__ import annotations

import re
from datetime import timedelta

from ..errors import InvalidSettingError

_DURATION = re.compile(r"([0-9]{1,9})\s*(s|m|h|d|w|y)")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
DURATIONS = "90d, 12h or 30m; units are s, m, h, d, w, and y for 365 days"
"""How a duration is written."""


def parse_duration(text: str) -> timedelta | None:
    """A duration such as `90d`, `12h` or `30m`; units are s, m, h, d, w, and y for 365 days. None where it is none."""
    found = _DURATION.fullmatch(text.strip())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    return timedelta(seconds=seconds) if found and seconds <= timedelta.max.total_seconds() else None


def duration_of(name: str, value: timedelta | str) -> timedelta:
    """A duration as it was given for a setting, also as text.

    Raises:
        InvalidSettingError: When it is none, or not above zero.
    """
    found = parse_duration(value) if isinstance(value, str) else value
    if not isinstance(found, timedelta) or found <= timedelta(0):
        raise InvalidSettingError(name, value, f"give a duration: {DURATIONS}")
    return found


def shown_duration(duration: timedelta) -> str:
    """The same as text, in the largest unit that needs no fraction."""
    seconds = round(duration.total_seconds())
    unit = next((one for one in ("d", "h", "m") if seconds and seconds % _UNITS[one] == 0), "s")
    return f"{seconds // _UNITS[unit]}{unit}"
