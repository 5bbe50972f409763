"""What may be said of an error: where content must not stand, its type and where it came from, never its text.

The text of an exception may quote what was being handled, and so may those of its causes.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import sysconfig
import traceback
from pathlib import Path, PurePath
from types import FrameType

from . import EncodingError, SessionLogError

_OURS_AND_BETWEEN = (
    *(str(path) + os.sep for path in (Path(__file__).parent.parent, Path(asyncio.__file__).parent)),
    "<frozen",
)
"""What stands between a handler and its caller."""
_INSTALLED = tuple(
    path + os.sep
    for name, path in sysconfig.get_paths().items()
    if name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_LONGEST = 200
LONGEST_TEXT = 1000
"""Characters of an error's text that are kept, where it is."""
_NAME = re.compile(r"[\w.<>]{1,200}")


class MalformedEntryError(ValueError):
    """What stands in an entry is not what should; its text names what is wrong and quotes nothing of it."""


def type_of(error: BaseException) -> str:
    """The name of its class, with its module but for built-in ones, as a traceback has it.

    A class that was made while the program ran may be called anything, what was said among it: then it is that of the
    class it was made from.
    """
    return next(name for kind in type(error).__mro__ if _NAME.fullmatch(name := _name_of(kind)))


def _name_of(kind: type) -> str:
    module, name = str(kind.__module__), kind.__qualname__
    return name if module in ("builtins", "__main__") else f"{module}.{name}"


def type_and_place(error: BaseException) -> str:
    """`module.Class at directory/file.py:12`: where it was last in code of the application, not in its libraries.

    Where the application is installed beside them, where it was last in the package that was called from here. Of an
    error that was never raised, only the type.
    """
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    theirs = [one for one in frames if _is_theirs(one[0])] or frames
    own = [one for one in theirs if not one[0].f_code.co_filename.startswith(_INSTALLED)]
    nearest = own or [one for one in theirs if _package(one[0]) == _package(theirs[0][0])]
    return f"{type_of(error)} at {_place(*nearest[-1])}" if nearest else type_of(error)


def text_of(value: object) -> str:
    """The text of an error, or of anything else; it may quote content, so it is kept only where an erasure finds it."""
    try:
        return str(value)[:LONGEST_TEXT].encode("utf-8", "replace").decode()
    except Exception as error:
        return f"(its text cannot be had: {type(error).__name__})"


def described(error: BaseException) -> str:
    """As much of an error as quotes no content: this library's own in full, of others see `type_and_place`."""
    if isinstance(error, SessionLogError) and not isinstance(error, EncodingError):
        return f"{type(error).__name__}: {error}"
    return type_and_place(error)


def reason_of(error: Exception) -> str:
    """Why something could not be read, without what was read."""
    if isinstance(error, MalformedEntryError):
        return str(error)
    is_silent = isinstance(error, (json.JSONDecodeError, UnicodeDecodeError))
    return f"{type(error).__name__}: {error}" if is_silent else type(error).__name__


def place_of_caller() -> str:
    """`at directory/file.py:12`: where the caller's own code called this library."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not _is_theirs(frame):
        frame = frame.f_back
    return f"at {_place(frame, frame.f_lineno)}" if frame else ""


def frames_of(error: BaseException) -> str:
    """Its type and the source lines it came through, as a traceback has them, for a line in the log."""
    return "".join((type_of(error), "\n", *traceback.format_tb(error.__traceback__))).rstrip()


def _is_theirs(frame: FrameType) -> bool:
    return not frame.f_code.co_filename.startswith(_OURS_AND_BETWEEN)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def _place(frame: FrameType, line: int) -> str:
    return f"{_bounded('/'.join(PurePath(frame.f_code.co_filename).parts[-2:]))}:{line}"


def _bounded(text: str) -> str:
    """Names that code makes up may be long, or hold what no line of a log should."""
    return "".join(one if one.isprintable() and not one.isspace() else "?" for one in text[:_LONGEST])
