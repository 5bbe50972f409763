"""What is given beside a log must be of it."""

from __future__ import annotations

from typing import Protocol


class _Named(Protocol):
    @property
    def namespace(self) -> str: ...


def check_is_of(log: _Named, namespace: str | None) -> None:
    """Refuse a namespace that was given beside a log, which would be that of another.

    Raises:
        ValueError: When the log is of another namespace.
    """
    if namespace not in (None, log.namespace):
        raise ValueError(f"namespace={namespace!r}: the log is of namespace {log.namespace!r}; leave it out")
