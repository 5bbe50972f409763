"""Seals: what cannot be read, is not what was signed, or may not be written now."""

from __future__ import annotations

from .base import SessionLogError, shown


class SealError(SessionLogError):
    """Something is wrong with a seal, or with what belongs to one."""


class SealNotFoundError(SealError, LookupError):
    """There is no seal, or none that covers what was asked for.

    Attributes:
        place: Where the seals are.
        missing: What is not there.
    """

    def __init__(self, place: str, missing: str = "checkpoint") -> None:
        self.place, self.missing = place, missing
        cure = ": `session-log seal --to` writes one there" if missing == "checkpoint" else ""
        super().__init__(f"{place} has no {missing}{cure}")


class SealDamagedError(SealError):
    """What stands where the seals are is not what was sealed, or not what a seal is made of.

    Attributes:
        name: The file, relative to where the seals are.
        reason: What is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name} is not what was sealed: {reason}")


class SealKeyError(SealError, ValueError):
    """A key that is none, or not the one that is needed.

    Attributes:
        source: The file, or the text, that was to have it.
        reason: What is wrong, and what to do.
    """

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"{source}: {reason}")


class SealMismatchError(SealError):
    """The seals at a place are of another log than the one that is to be sealed, or held against them.

    Attributes:
        place: Where the seals are.
        what: What differs: the namespace, or the name of the key.
        expected: That of the log, or the key.
        actual: That of the seals.
    """

    def __init__(self, place: str, what: str, expected: object, actual: object) -> None:
        self.place, self.what, self.expected, self.actual = place, what, expected, actual
        super().__init__(
            f"{place} has the seals of {what} {shown(actual)}, not of {shown(expected)}: give each its own place"
        )


class SealBusyError(SealError):
    """Another process seals to the same place right now; nothing was written.

    Attributes:
        place: Where the seals are.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        super().__init__(f"{place}: another process seals there right now; try again when it is done")


class SealUnwritableError(SealError):
    """The place of the seals cannot be read or written; what was sealed before stays valid.

    Attributes:
        place: Where the seals are, or the file.
        reason: Why.
    """

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place} cannot be used: {reason}")
