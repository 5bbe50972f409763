"""A recorded session as the text of a file for pytest."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Mapping, Sequence
from pprint import pformat
from typing import Any

from ..codec import to_json

FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
"""`module:factory`, as it can be imported."""
_WIDTH = 110
_RESTORES = "from strands_session_log import from_json\n"
_FIXTURE = "\n\n# The fixture `make_agent` is yours: it gives a function that makes the agent, given a model.\n"


def pytest_file(session_id: str, revision: int, recorded: Sequence[Mapping[str, Any]], factory: str = "") -> str:
    """A test that plays a session again, complete in itself.

    Args:
        session_id: Which session that was.
        revision: Up to where.
        recorded: Its messages.
        factory: `module:factory` of what makes the agent; empty for a fixture of pytest called `make_agent`.
    """
    module, _, name = factory.partition(":")
    imported = f"\n\nfrom {module} import {name}" if factory else ""
    comment, parameter = ("\n\n", "") if factory else (_FIXTURE, "make_agent")
    messages, restores = _literal([dict(one) for one in recorded])
    return (
        '"""A recorded session as a test, written by `session-log testcase`."""\n\n'
        f"{restores}from strands_session_log.testing import play_again{imported}\n\n"
        f"SESSION, REVISION = {session_id!a}, {revision}\n"
        f"RECORDED = {messages}\n"
        f"{comment}def test_the_agent_does_as_it_did_in_{_name_of(session_id)}({parameter}):\n"
        f"    differences = play_again({name or 'make_agent'}, RECORDED)\n"
        '    assert not differences, "\\n".join(differences)\n'
    )


def _literal(recorded: list[dict[str, Any]]) -> tuple[str, str]:
    """Messages as they stand in a file, and what that has to import: decimals, dates and NaN are no literals."""
    text = pformat(recorded, width=_WIDTH, sort_dicts=False)
    try:
        literal_eval(text)
    except ValueError:
        return f"from_json({pformat(to_json(recorded), width=_WIDTH, sort_dicts=False)})", _RESTORES
    return text, ""


def _name_of(session_id: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", session_id.lower()).strip("_") or "a_session"
