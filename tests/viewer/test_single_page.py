"""A session as one page in one file, as it is made: `session-log export --to html`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from strands_session_log import SessionLog, SessionState, events, evolve
from strands_session_log_consumers.viewer import app
from strands_session_log_consumers.viewer.single_page import page as single_page
from strands_session_log_consumers.viewer.single_page.page import SinglePage, SinglePageError
from strands_session_log_consumers.viewer.single_page.scripts import policy, scripts
from support.command_line import Run, write_session
from support.conversations import EVIL, PICTURE, TRIP, gradient


def page_of(log: SessionLog, session_id: str) -> str:
    return b"".join(SinglePage(log, session_id).chunks()).decode()


def data_of(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="kept-{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_its_head_says_which_session_it_is_how_far_and_whether_it_was_verified(seen_log: SessionLog) -> None:
    page, anchor = page_of(seen_log, TRIP), seen_log.anchor(TRIP)
    for told in (TRIP, f"r1 to r{anchor.revision}", anchor.link, "the chain is intact", "UTC"):
        assert told in page


def test_it_may_run_its_own_scripts_and_ask_nobody(seen_log: SessionLog) -> None:
    page = page_of(seen_log, TRIP)
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found
    allowed = unescape(found[1])
    assert allowed == policy()
    inline = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert inline == list(scripts())
    for script in inline:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in allowed
    assert "unsafe" not in allowed
    assert re.findall(r"\b(?:connect|frame|object|media|font)-src", allowed) == []
    assert re.findall(r'(?:src|href)="(?!data:|#|https://)[^"]*"', page) == []


def test_images_known_by_their_bytes_stand_in_it_and_other_files_are_named(seen_log: SessionLog) -> None:
    page = page_of(seen_log, PICTURE)
    image, numbers = gradient(), b"day,steps\nMon,9120\nTue,4210\n"
    assert f"data:image/png;base64,{base64.b64encode(image).decode()}" in page
    assert hashlib.sha256(numbers).hexdigest() in page
    assert base64.b64encode(numbers).decode() not in page


def test_images_beyond_what_a_page_takes_are_named_only(seen_log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_page, "MOST_IMAGE_BYTES", 1_000)
    page = page_of(seen_log, PICTURE)
    assert "data:image/png" not in page
    assert hashlib.sha256(gradient()).hexdigest() in page


def test_what_stands_in_it_ends_no_element(seen_log: SessionLog) -> None:
    page = page_of(seen_log, EVIL)
    for found in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL):
        assert "<" not in found
    assert "<img src=x" not in page


def test_it_has_the_state_at_each_point(seen_log: SessionLog) -> None:
    states = data_of(page_of(seen_log, TRIP), "states")
    begins = [revision for revision, _ in states["points"]]
    assert begins[0] == 1
    assert all(one < other for one, other in pairwise(begins))
    shown = {revision: "".join(states["parts"][part] for part in parts) for revision, parts in states["points"]}
    for revision in range(1, seen_log.head(TRIP).revision + 1):
        state = seen_log.state(TRIP, revision)
        told = shown[max(one for one in begins if one <= revision)]
        assert ("travellers" in told) == any("trip" in agent.state for agent in state.agents.values())
        for agent in state.agents.values():
            assert f"of {len(agent.messages)} messages" in told


def test_states_that_evolve_event_by_event_are_those_of_the_log(seen_log: SessionLog) -> None:
    state = SessionState()
    for recorded in seen_log.read(TRIP):
        state = evolve(state, recorded)
        assert state == seen_log.state(TRIP, recorded.id.revision)


def test_a_session_that_is_not_what_was_written_says_so(
    log: SessionLog, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_session(log)
    found = log.verify("s-42")
    broken = type(found)(ok=False, revision=found.revision, link=found.link, problems=("event 2: <b>another</b> link",))
    monkeypatch.setattr(log, "verify", lambda *_: broken)
    page = page_of(log, "s-42")
    assert "this is not what was written" in page
    assert "event 2: &lt;b&gt;another&lt;/b&gt; link" in page


def test_more_events_than_a_page_takes_are_refused_with_what_to_do(
    log: SessionLog, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_page, "MOST_EVENTS", 3)
    log.append("long", [events.SessionAnnotated({"at": at}) for at in range(4)])
    with pytest.raises(SinglePageError, match="has 4 events, and a page takes 3 at most"):
        SinglePage(log, "long")
    told = run("export", "long", "--to", "html", str(tmp_path / "long.html"), exit_code=1).stderr
    assert "has 4 events" in told
    assert list(tmp_path.iterdir()) == []
    assert TestClient(app(log), "http://localhost").get("/s/long/export?to=html").status_code == 409


def test_the_command_writes_a_file_that_only_its_owner_reads(log: SessionLog, run: Run, tmp_path: Path) -> None:
    write_session(log)
    path = tmp_path / "s-42.html"
    assert "✓ s-42" in run("export", "s-42", "--to", "html", str(path)).stdout
    assert path.read_text().startswith("<!doctype html>")
    assert path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [path]


def test_the_command_replaces_a_file_when_forced_only(log: SessionLog, run: Run, tmp_path: Path) -> None:
    write_session(log)
    path = tmp_path / "s-42.html"
    path.write_text("mine")
    assert "exists already" in run("export", "s-42", "--to", "html", str(path), exit_code=1).stderr
    assert path.read_text() == "mine"
    run("export", "s-42", "--to", "html", str(path), "--force")
    assert path.read_text() != "mine"


def test_the_command_writes_to_standard_output(log: SessionLog, run: Run) -> None:
    write_session(log)
    told = run("export", "s-42", "--to", "html", "-").stdout
    assert told.startswith("<!doctype html>")
    assert told.endswith("</html>")


def test_the_command_refuses_what_it_cannot_do(log: SessionLog, run: Run, tmp_path: Path) -> None:
    write_session(log)
    page = str(tmp_path / "page.html")
    run("export", "nobody", "--to", "html", page, exit_code=3)
    assert "takes one session" in run("export", "--all", "--to", "html", page, exit_code=2).stderr
    assert "html" in run("export", "s-42", "--to", "pdf", page, exit_code=2).stderr
    assert "cannot write" in run("export", "s-42", "--to", "html", str(tmp_path / "no" / "a"), exit_code=5).stderr
    assert list(tmp_path.iterdir()) == []


def test_the_viewer_gives_it_to_be_downloaded(seen_log: SessionLog) -> None:
    client = TestClient(app(seen_log), "http://localhost")
    found = client.get(f"/s/{TRIP}/export?to=html")
    assert found.status_code == 200
    assert found.headers["content-disposition"] == f'attachment; filename="{TRIP}.html"'
    assert found.text.startswith("<!doctype html>")
    session = client.get(f"/s/{TRIP}").text
    for kind in ("html", "jsonl", "file-session"):
        assert f"/s/{TRIP}/export?to={kind}" in session
