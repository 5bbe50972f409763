"""Verifies an evidence bundle of strands-session-log, offline, with Python 3.9 or newer and nothing else.

    python3 verify.py BUNDLE [--json] [--expect SESSION:REVISION:LINK]... [--key NAME+HASH+KEY]...

Exit code 0: everything is as it was written; 1: something is not; 2: the file cannot be read as a bundle. Whoever is to
be convinced takes this file from elsewhere than from the bundle that it is to verify.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .archive import UnreadableBundleError
from .bundle import verify

INTACT, NOT_INTACT, UNREADABLE = 0, 1, 2
ALONE = "Nothing from outside was compared: give links that were noted (--expect), or who may have sealed (--key)."


def answer(path: str, expect: Iterable[str], keys: Iterable[str]) -> tuple[int, dict[str, Any]]:
    """Verify a file: an exit code, and the report; also of what cannot be read."""
    try:
        with Path(path).open("rb") as file:
            report = verify(file, expect, keys)
    except UnreadableBundleError as error:
        code, problem = error.code, error.problem
    except OSError:
        code, problem = "file", "it cannot be opened"
    else:
        return INTACT if report["ok"] else NOT_INTACT, report
    return UNREADABLE, {"ok": False, "sessions": [], "problems": [{"code": code, "problem": problem}]}


def sentences(report: dict[str, Any], is_noted: bool = False) -> Iterator[str]:
    """A report for people.

    Args:
        report: What was found.
        is_noted: Whether links were expected, so that not all of it rests on the file itself.
    """
    for one in report["sessions"]:
        count = f"{one['events']:,} event{'s' * (one['events'] != 1)}"
        less = [f"{one[name]:,} {name}" for name in ("withheld", "erased") if one[name]]
        verdict = "NOT INTACT" if one["problems"] else "intact"
        yield f"{_visible(one['session_id'])}: {verdict}: {', '.join((count, *less, _sealing(one['sealed'])))}"
        yield f"  ends with {one['revision']}:{_visible(one['link'])}"
        for problem in one["problems"]:
            yield f"  {_visible(problem['problem'])} [{problem['code']}]"
    for problem in report["problems"]:
        yield f"{_visible(problem['problem'])} [{problem['code']}]"
    if (
        report["ok"]
        and not is_noted
        and not any(one["sealed"] and one["sealed"]["signed_by"] for one in report["sessions"])
    ):
        yield ALONE
    is_read = bool(report["sessions"]) or report["ok"]
    yield "Everything is as it was written." if report["ok"] else "NOT INTACT." if is_read else "NOT READABLE."


def _sealing(sealed: dict[str, Any] | None) -> str:
    if sealed is None:
        return "not sealed"
    by = sealed["signed_by"]
    signed = f"signed by {_visible(by)}" if by else "whose signature was not checked: give --key"
    where = f"sealed up to event {sealed['revision']} at {_visible(sealed['time'])}"
    return f"{where} in a log of {sealed['size']:,}, {signed}"


def _visible(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--expect", action="append", default=[], metavar="SESSION:REVISION:LINK", help="noted before")
    parser.add_argument("--key", action="append", default=[], metavar="NAME+HASH+KEY", help="who may have sealed")
    given = parser.parse_args(arguments)
    code, report = answer(given.bundle, given.expect, given.key)
    told = (
        json.dumps(report, ensure_ascii=False, separators=(",", ":"))
        if given.json
        else "\n".join(sentences(report, bool(given.expect)))
    )
    sys.stdout.buffer.write(told.encode() + b"\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
