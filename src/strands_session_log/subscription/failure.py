"""Why a delivery failed: what may stand on the server for good, and what must go with the content it may quote."""

from __future__ import annotations

from typing import NamedTuple

from ..errors.quoting import LONGEST_TEXT, described, place_of_caller, text_of, type_and_place


class Failure(NamedTuple):
    """Why a delivery failed.

    Attributes:
        error: The exception's type and where it was raised, or where the reason was given; never content.
        text: The exception's text, or the reason. It may quote content, so it is kept only where an erasure finds it.
    """

    error: str = ""
    text: str = ""

    @classmethod
    def of(cls, why: object, keeps_text: bool) -> Failure:
        """What a handler says of it.

        Args:
            why: An exception, or a reason; or a failure, which stays as it is.
            keeps_text: Whether the text of an exception is kept. A reason that somebody gives always is.
        """
        match why:
            case Failure():
                return why
            case BaseException():
                return cls(type_and_place(why), text_of(why) if keeps_text else "")
        return cls(place_of_caller(), text_of(why))

    @classmethod
    def of_rejected(cls, error: Exception) -> Failure:
        """Why an entry is not what it should be."""
        return cls(described(error)[:LONGEST_TEXT])


NONE = Failure()


def whole(error: str, text: str) -> str:
    """Both parts as one line: of a reason that was given as text, the text."""
    if not text:
        return error
    return text if not error or error.startswith("at ") else f"{error}: {text}"
