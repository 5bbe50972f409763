"""What programs are answered: JSON, and where there is no answer a problem as RFC 9457 has it, with a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.responses import Response

from strands_session_log import Integrity, Recorded

PROBLEM_TYPE: Final = "application/problem+json"


def dumped(value: Any) -> bytes:
    """As JSON, whatever others wrote: whole numbers of any size, too."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def event_line(recorded: Recorded, integrity: Integrity) -> bytes:
    """An event as `session-log events --json` has it."""
    return dumped({**recorded.to_json(), "integrity": str(integrity)})


def json_answer(value: Any) -> Response:
    """An answer in JSON."""
    return Response(dumped(value), media_type="application/json")


def problem(status: int, text: str, error: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """An answer that says why there is none.

    Args:
        status: Of HTTP.
        text: The sentence.
        error: The name of the library's error, if it is one.
        headers: What else is said.
    """
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": text}
    named = {**told, "error": error} if error else told
    return Response(orjson.dumps(named), status, headers, PROBLEM_TYPE)
