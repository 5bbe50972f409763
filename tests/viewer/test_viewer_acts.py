"""Fork, rewind and erase from the viewer: only where it may write, as confirmed, and only from its own pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from strands_session_log import SessionLog, events
from strands_session_log_consumers.viewer.addresses import session_path
from strands_session_log_consumers.viewer.effects import NotUnderstoodError, revisions_of
from support.asking import asking, form_of, words_of
from support.strands_agents import call, fail, make_agent

ACTS = ("fork", "rewind", "erase")


@pytest.fixture
def talked(session_log: SessionLog) -> SessionLog:
    """A log with a session in which two things were said."""
    agent = make_agent(session_log, ["First answer.", "Second answer."])
    agent("First question.")
    agent("Second question.")
    return session_log


@pytest.fixture
def editor(talked: SessionLog) -> Iterator[TestClient]:
    """Somebody whose viewer may write."""
    with asking(talked, allow_write=True) as client:
        yield client


def revision_of(log: SessionLog, text: str) -> int:
    """The event that has a text."""
    (found,) = [one.id.revision for one in log.read("s", types="message.added") if text in str(one.event.data)]
    return found


def sent(client: TestClient, act: str, at: int, **given: str) -> Any:
    """An act as somebody confirms it."""
    page = client.get(f"/s/s/{act}", params={"at": str(at)})
    return client.post(f"/s/s/{act}", data=form_of(page.text) | {"by": "Ada"} | given)


@pytest.mark.parametrize("act", ACTS)
def test_a_viewer_that_only_reads_does_none_of_it_and_says_why(talked: SessionLog, act: str) -> None:
    with asking(talked) as client:
        before = talked.head("s")
        assert client.get(f"/s/s/{act}").status_code == 403
        assert client.post(f"/s/s/{act}", data={"by": "Ada", "into": "other"}).status_code == 403
        assert "disabled" in client.get("/s/s").text
        assert "This viewer only reads" in client.get("/s/s").text
    assert talked.head("s") == before


def test_a_fork_is_a_copy_up_to_the_point_by_whom_it_says(editor: TestClient, talked: SessionLog) -> None:
    at = revision_of(talked, "First answer.")
    told = words_of(editor.get(f"/s/s/fork?at={at}").text)
    assert "Nothing is run." in told
    assert f"a copy of the first {at} of {talked.head('s').revision} events: 2 messages of default" in told
    assert "session-log delete s-r" in told
    answer = sent(editor, "fork", at, into="again")
    assert "begins with the first" in words_of(answer.text)
    made = talked.event("again", at + 1).event
    assert (made.type, made.data["by"]) == ("session.forked", "Ada")


def test_a_rewind_tells_what_agents_no_longer_hold_and_leads_back(editor: TestClient, talked: SessionLog) -> None:
    before, at = talked.head("s").revision, revision_of(talked, "First answer.")
    told = words_of(editor.get(f"/s/s/rewind?at={at}").text)
    assert "Will no longer hold: 2 Second question. Second answer." in told
    assert f"rewind to r{before}, which brings all of it back" in told
    answer = sent(editor, "rewind", at)
    assert f"rewind to r{before}" in words_of(answer.text)
    assert [len(agent.window) for agent in talked.state("s").agents.values()] == [2]
    sent(editor, "rewind", before)
    assert [len(agent.window) for agent in talked.state("s").agents.values()] == [4]


def test_an_erasure_tells_what_goes_and_wants_the_id_typed(editor: TestClient, talked: SessionLog) -> None:
    at = revision_of(talked, "First question.")
    assert "The content of 1 event goes for good." in words_of(editor.get(f"/s/s/erase?at={at}").text)
    refused = sent(editor, "erase", at, reason="request 17", confirmed="another")
    assert refused.status_code == 422
    assert "type the id of the session" in words_of(refused.text)
    assert not talked.event("s", at).event.is_erased
    answer = sent(editor, "erase", at, reason="request 17", confirmed="s")
    assert "is erased" in words_of(answer.text)
    assert talked.event("s", at).event.is_erased
    recorded = talked.event("s", talked.head("s")).event
    assert (recorded.data["reason"], recorded.data["by"]) == ("request 17", "Ada")
    assert talked.verify("s").ok


@pytest.mark.parametrize("act", ACTS)
def test_nothing_is_done_without_a_name(editor: TestClient, talked: SessionLog, act: str) -> None:
    before = talked.head("s")
    answer = sent(editor, act, 3, by=" ", into="other", reason="why", confirmed="s")
    assert answer.status_code == 422
    assert "say who you are" in words_of(answer.text)
    assert (talked.head("s"), list(talked.session_ids())) == (before, ["s"])


def test_what_was_confirmed_is_not_done_when_it_would_be_something_else_meanwhile(
    editor: TestClient, talked: SessionLog
) -> None:
    at = revision_of(talked, "First answer.")
    form = form_of(editor.get(f"/s/s/rewind?at={at}").text)
    make_agent(talked, ["Third answer."])("Third question.")
    before = talked.head("s")
    answer = editor.post("/s/s/rewind", data=form | {"by": "Ada"})
    assert answer.status_code == 422
    assert "Meanwhile the session changed" in words_of(answer.text)
    assert "Third question." in words_of(answer.text)
    assert talked.head("s") == before
    assert editor.post("/s/s/rewind", data=form_of(answer.text) | {"by": "Ada"}).status_code == 200


@pytest.mark.parametrize("lack", ["token", "cookie"])
@pytest.mark.parametrize("act", ACTS)
def test_a_form_without_its_token_or_cookie_does_nothing(
    editor: TestClient, talked: SessionLog, act: str, lack: str
) -> None:
    before = talked.head("s")
    form = form_of(editor.get(f"/s/s/{act}?at=3").text) | {"by": "Ada", "into": "o", "reason": "r", "confirmed": "s"}
    if lack == "token":
        del form["token"]
    else:
        editor.cookies.clear()
    assert editor.post(f"/s/s/{act}", data=form).status_code == 403
    assert (talked.head("s"), list(talked.session_ids())) == (before, ["s"])


def test_a_form_of_another_viewer_of_the_same_log_is_refused(editor: TestClient, talked: SessionLog) -> None:
    form = form_of(editor.get("/s/s/rewind?at=3").text) | {"by": "Ada"}
    with asking(talked, allow_write=True) as other:
        other.cookies.update(editor.cookies)
        assert other.post("/s/s/rewind", data=form).status_code == 403


def test_a_form_that_another_site_sends_is_refused_though_it_has_everything(
    editor: TestClient, talked: SessionLog
) -> None:
    form = form_of(editor.get("/s/s/rewind?at=3").text) | {"by": "Ada"}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
    ):
        assert editor.post("/s/s/rewind", data=form, headers=headers).status_code == 403
    as_text = editor.post("/s/s/rewind", content="by=Ada", headers={"Content-Type": "text/plain"})
    assert as_text.status_code == 415


def test_the_cookie_of_forms_goes_with_no_request_of_another_site(editor: TestClient) -> None:
    cookie = editor.get("/s/s/rewind?at=3").headers["Set-Cookie"].lower()
    assert "samesite=strict" in cookie
    assert "httponly" in cookie


def test_a_form_that_is_too_long_is_not_read_to_its_end(editor: TestClient) -> None:
    form = form_of(editor.get("/s/s/rewind?at=3").text) | {"by": "x" * 300_000}
    assert editor.post("/s/s/rewind", data=form).status_code == 413
    assert editor.post("/s/s/rewind", data={f"f{number}": "" for number in range(100)}).status_code == 400


def test_where_a_tool_is_waited_for_the_nearest_points_are_offered(session_log: SessionLog) -> None:
    make_agent(session_log, [[call("fail", reason="x")], "It failed."], tools=[fail])("Try.")
    called = next(one.id.revision for one in session_log.read("s") if "toolUse'" in str(one.event.data))
    with asking(session_log, allow_write=True) as client:
        for act in ("fork", "rewind"):
            page = client.get(f"/s/s/{act}?at={called}")
            assert "default waits for fail" in words_of(page.text)
            assert f"take r{called - 1} instead" in words_of(page.text)
            assert 'method="post"' not in page.text
            allowed = client.get(f"/s/s/{act}?at={called}&allow_unanswered=yes")
            assert form_of(allowed.text)["allow_unanswered"] == "yes"


def test_a_fork_into_a_session_that_is_there_is_refused_with_what_was_filled_in(
    editor: TestClient, talked: SessionLog
) -> None:
    talked.append("taken", events.Custom("custom.note", {}))
    answer = sent(editor, "fork", 3, into="taken")
    assert answer.status_code == 422
    assert "there is a session 'taken' already" in words_of(answer.text)
    assert 'value="taken"' in answer.text


def test_what_people_write_is_text_on_the_page(editor: TestClient) -> None:
    answer = sent(editor, "fork", 3, into="<script>alert(1)</script>/../\u202e", by='"><img src=x onerror=alert(1)>')
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text


def test_a_command_to_paste_is_safe_whatever_a_session_is_called(session_log: SessionLog) -> None:
    session_log.append("a; rm -rf ~", events.Custom("custom.note", {}))
    with asking(session_log, allow_write=True) as client:
        page = client.get(f"{session_path('a; rm -rf ~')}/fork")
        assert "session-log delete 'a; rm -rf ~-r1'" in words_of(page.text)


@pytest.mark.parametrize(
    ("text", "found"), [("3", [3]), ("3, 5-7", [3, 5, 6, 7]), ("r3 r5\u2013r6", [3, 5, 6]), ("4 4 3-4", [4, 3])]
)
def test_events_are_given_as_people_write_them(text: str, found: list[int]) -> None:
    assert revisions_of(text, 9) == found


@pytest.mark.parametrize("text", ["", " , ", "x", "0", "10", "7-3", "1-", "-3", "1e3", "9" * 99])
def test_what_are_no_events_of_the_session_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        revisions_of(text, 9)


def test_no_more_than_a_thousand_events_are_erased_at_once() -> None:
    with pytest.raises(NotUnderstoodError, match="1 to 1,000"):
        revisions_of("1-99999", 99999)
