"""What holds connections, and what is not written yet: there is one of it."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from .base import SessionLogError


class NotCopiedError(SessionLogError, TypeError):
    """Something was to be copied or pickled that holds connections and what is not written yet.

    Attributes:
        kind: What it is.
        cure: What to do instead.
    """

    def __init__(self, kind: str, cure: str) -> None:
        self.kind, self.cure = kind, cure
        super().__init__(
            f"a {kind} cannot be copied or pickled, it holds connections and what is not written yet; {cure}"
        )


class NotCopied:
    """Refuses `copy.copy`, `copy.deepcopy` and pickling in a sentence."""

    _INSTEAD: ClassVar[str]
    """What to do instead."""

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refuse.

        Raises:
            NotCopiedError: Always.
        """
        raise NotCopiedError(type(self).__name__, self._INSTEAD)
