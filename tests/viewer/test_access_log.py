"""Who looked at which session when is noted, and nothing of what was said."""

from __future__ import annotations

import io
import json
from typing import Any

from strands_session_log import SessionLog, events
from support.asking import asking
from support.following import notes

SECRET = "attack at dawn"
TOKEN = "a-token-that-is-long"


def looked(log: SessionLog, *paths: str, headers: dict[str, str] | None = None, **settings: Any) -> list[Any]:
    """What is noted when somebody asks for these."""
    file = io.StringIO()
    with asking(log, access_log=file, **settings) as client:
        for path in paths:
            client.get(path, headers=headers)
    assert "dawn" not in file.getvalue()
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_each_look_is_noted_with_session_page_and_time(log: SessionLog) -> None:
    log.append("s", [*notes(1, 3), events.Custom("custom.note", {"text": SECRET})])
    found = looked(log, "/s/s?find=dawn", "/s/s/e/3", "/api/v1/sessions/s/events", "/?q=dawn", "/s/~Li4vYQ")
    assert [(one["session"], one["page"], one["event"], one["status"]) for one in found] == [
        ("s", "/s/{session_id}", None, 200),
        ("s", "/s/{session_id}/e/{revision:number}", 3, 200),
        ("s", "/api/v1/sessions/{session_id}/events", None, 200),
        (None, "/", None, 200),
        ("../a", "/s/{session_id}", None, 404),
    ]
    assert all(one["time"].endswith("+00:00") and one["method"] == "GET" for one in found)


def test_who_has_the_token_is_known_by_a_hash(log: SessionLog) -> None:
    log.append("s", notes(1, 2))
    by_token = looked(log, "/s/s", headers={"Authorization": f"Bearer {TOKEN}"}, token=TOKEN)
    by_link = looked(log, f"/s/s?token={TOKEN}", token=TOKEN)
    assert by_token[0]["who"].startswith("token:")
    assert TOKEN not in str(by_token + by_link)
    assert by_token[0]["who"] == by_link[0]["who"]


def test_a_proxy_says_who_asks_where_it_is_believed(log: SessionLog) -> None:
    log.append("s", notes(1, 2))
    ada = {"X-Forwarded-User": "ada"}
    assert looked(log, "/s/s", headers=ada, user_header="X-Forwarded-User")[0]["who"] == "ada"
    assert looked(log, "/s/s", headers=ada)[0]["who"] == ""


def test_who_is_refused_looked_at_nothing(log: SessionLog) -> None:
    log.append("s", notes(1, 2))
    assert looked(log, "/s/s", token=TOKEN) == []


def test_an_id_cannot_forge_a_line(log: SessionLog) -> None:
    assert {one["session"] for one in looked(log, "/s/a%0A%7B%7D")} == {"a\n{}"}
