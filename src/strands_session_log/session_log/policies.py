"""Policies in one file: which sessions go after which time, by their labels."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from ..errors import InvalidPolicyError, shown
from ..events import SessionInfo
from .durations import DURATIONS, parse_duration, shown_duration

_FIELDS = ("name", "labels", "older_than", "keep", "keep_last", "per")
_FOREVER = "forever"
_ANY = "*"


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """One rule.

    Attributes:
        name: What it is called, in tombstones among others.
        labels: A session falls under it that is annotated with all of these; `*` for any value.
        older_than: They go when nothing has happened to them for so long; None for never.
        keep_last: So many stay in any case, those that were active last.
        per: For each value of this label so many.
    """

    name: str
    labels: Mapping[str, str]
    older_than: timedelta | None
    keep_last: int = 0
    per: str | None = None

    def fits(self, info: SessionInfo) -> bool:
        """Whether a session falls under it."""
        return all(
            name in info.labels and value in (_ANY, _text(info.labels[name])) for name, value in self.labels.items()
        )

    def group(self, info: SessionInfo) -> str:
        """Among which sessions one counts."""
        return "" if self.per is None else f"={_text(info.labels.get(self.per))}"

    def keeps(self, number: int, age_ms: int) -> bool:
        """Whether a session stays.

        Args:
            number: The how manieth it is of its group, from 1, counted from the one that was active last.
            age_ms: For how many milliseconds nothing has happened to it.
        """
        if self.older_than is None or number <= self.keep_last:
            return True
        return timedelta(milliseconds=age_ms) < self.older_than

    @property
    def why(self) -> str:
        """The rule in words, for tombstones."""
        age = f"no event for {shown_duration(self.older_than)}" if self.older_than else ""
        each = f" per {self.per}" if self.per else ""
        last = f"not among the last {self.keep_last}{each}" if self.keep_last else ""
        rule = ", ".join(filter(None, (age, last)))
        return rule if self.name == "prune" else f"policy {self.name!r}: {rule}"


@dataclass(frozen=True, slots=True)
class RetentionPolicies:
    """Policies in their order: a session falls under the first that fits."""

    policies: tuple[RetentionPolicy, ...]

    @classmethod
    def read(cls, path: str | Path) -> RetentionPolicies:
        """Read a file: TOML, or JSON if its name ends so.

        Raises:
            InvalidPolicyError: When it cannot be read, or has a mistake; names file, line and field.
        """
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
            raise InvalidPolicyError(str(path), None, "", reason) from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, file: str = "policies.toml") -> RetentionPolicies:
        """The same of the text of a file; its name says whether it is JSON."""
        reading = _Reading(file, text)
        return cls(tuple(reading.policies()))


class _Reading:
    """Reads one file, and knows where in it what stands."""

    def __init__(self, file: str, text: str) -> None:
        self._file, self._lines = file, text.splitlines()
        self._held = self._json(text) if file.endswith(".json") else self._toml(text)

    def _json(self, text: str) -> Any:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise self._error(error.lineno, "", f"no JSON: {error.msg}") from error

    def _toml(self, text: str) -> Any:
        toml: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
        try:
            return toml.loads(text)
        except toml.TOMLDecodeError as error:
            at = re.search(r"line ([0-9]+)", str(error))
            line = int(at[1]) if at else len(self._lines)
            raise self._error(line, "", f"no TOML: {error}") from error

    def policies(self) -> Iterator[RetentionPolicy]:
        """Those of the file, in its order."""
        held = self._held if isinstance(self._held, Mapping) else {}
        for name in held:
            if name != "policy":
                raise self._error(
                    self._line_of(name, 0), str(name), f"there is no such section{_meant(name, ['policy'])}"
                )
        listed = held.get("policy")
        if not isinstance(listed, list) or not listed:
            raise self._error(None, "policy", "there is no policy: each begins with [[policy]]")
        names, taker = set[str](), ""
        for number, one in enumerate(listed, 1):
            found = self._policy(number, one)
            if found.name in names:
                raise self._wrong(number, "name", f"{found.name!r} is the name of another one, too")
            if taker:
                raise self._wrong(
                    number, "labels", f"it is never reached: policy {taker!r} before it takes all sessions"
                )
            names.add(found.name)
            taker = "" if found.labels else found.name
            yield found

    def _policy(self, number: int, held: Any) -> RetentionPolicy:
        if not isinstance(held, Mapping):
            raise self._wrong(number, "", "it is no table")
        for field in held:
            if field not in _FIELDS:
                raise self._wrong(number, field, f"there is no such field{_meant(field, _FIELDS)}")
        name = held.get("name", f"policy {number}")
        if not isinstance(name, str) or not name.strip() or name == "prune":
            raise self._wrong(number, "name", f"{shown(name)} is no name")
        per = held.get("per")
        if per is not None and (not isinstance(per, str) or not per):
            raise self._wrong(number, "per", f"{shown(per)} is no label")
        keep_last = held.get("keep_last", 0)
        if type(keep_last) is not int or keep_last < 0:
            raise self._wrong(number, "keep_last", f"{shown(keep_last)} is no whole number from 0 on")
        if per is not None and not keep_last:
            raise self._wrong(number, "per", "it says for which label keep_last counts: give that, too")
        return RetentionPolicy(name, self._labels(number, held), self._age(number, held), keep_last, per)

    def _labels(self, number: int, held: Mapping[str, Any]) -> Mapping[str, str]:
        labels = held.get("labels", {})
        if not isinstance(labels, Mapping) or not all(isinstance(value, str) for value in labels.values()):
            raise self._wrong(number, "labels", 'give label = "value", or "*" for any value')
        return dict(labels)

    def _age(self, number: int, held: Mapping[str, Any]) -> timedelta | None:
        if "keep" in held:
            if held["keep"] != _FOREVER:
                raise self._wrong(number, "keep", f'{shown(held["keep"])}: it can be "{_FOREVER}" only')
            if other := next((one for one in ("older_than", "keep_last") if one in held), None):
                raise self._wrong(number, other, f'keep = "{_FOREVER}" says otherwise: give one of them')
            return None
        if "older_than" not in held:
            if held.get("keep_last"):
                return timedelta(0)
            raise self._wrong(number, "older_than", f'it says when sessions go: give it, or keep = "{_FOREVER}"')
        given = held["older_than"]
        age = parse_duration(given) if isinstance(given, str) else None
        if not age:
            raise self._wrong(number, "older_than", f"{shown(given)} is no duration: give {DURATIONS}")
        return age

    def _wrong(self, number: int, field: object, reason: str) -> InvalidPolicyError:
        return self._error(self._line_of(field, number), f"policy[{number}]{f'.{field}' if field else ''}", reason)

    def _error(self, line: int | None, field: str, reason: str) -> InvalidPolicyError:
        return InvalidPolicyError(self._file, line, field, reason)

    def _line_of(self, field: object, number: int) -> int | None:
        """Where a field of the how manieth policy stands; where that begins, if it is not there; None in JSON."""
        if self._file.endswith(".json"):
            return None
        starts = [at for at, line in enumerate(self._lines, 1) if re.match(r"\s*\[\[\s*policy\s*\]\]", line)]
        first = starts[number - 1] if 0 < number <= len(starts) else 1
        last = starts[number] if 0 < number < len(starts) else len(self._lines) + 1
        named = re.compile(rf"\s*(?:\[+\s*(?:policy\.)?)?[\"']?{re.escape(str(field))}[\"']?\s*[=\].]")
        found = (at for at in range(first, last) if at <= len(self._lines) and named.match(self._lines[at - 1]))
        return next(found, first if number else None)


def _meant(given: object, known: list[str] | tuple[str, ...]) -> str:
    near = get_close_matches(str(given), known, 1)
    return f": did you mean {near[0]}?" if near else f": there are {', '.join(known)}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
