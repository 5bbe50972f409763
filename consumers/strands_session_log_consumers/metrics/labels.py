"""Label values whose number is bounded, whatever users and models call things."""

from __future__ import annotations

from threading import Lock

OTHER = "other"
LONGEST = 256
"""Characters of a name that keeps its label: those that the log gives have no more, and each stands in many lines."""


class Bounded:
    """The first so many names keep their own label; all that come later share `other`.

    Args:
        limit: How many names keep their own.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._names, self._lock = limit, set[str](), Lock()

    def label(self, name: object) -> str:
        """The label of a name; what is no text, or longer than names are, is `other`."""
        if not isinstance(name, str) or len(name) > LONGEST:
            return OTHER
        if name and name not in self._names:
            with self._lock:
                if len(self._names) >= self._limit:
                    return OTHER
                self._names.add(name)
        return name


def one_of(value: object, known: frozenset[str]) -> str:
    """A value that should be one of a few; `other` if it is not."""
    return value if isinstance(value, str) and value in known else OTHER
