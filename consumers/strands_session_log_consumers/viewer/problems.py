"""What the API cannot answer, as RFC 9457 has it: with a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import orjson
from starlette.responses import Response

PROBLEM_TYPE: Final = "application/problem+json"


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
