"""The inbox: what persons are asked, and how their answers reach the application."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from strands import Agent, tool

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel
from strands_session_log_consumers.viewer import ViewerSettings
from support.answers import Application, application
from support.asking import asking, form_of, words_of
from support.strands_agents import call

pytestmark = pytest.mark.skipif(
    not hasattr(hook_event("BeforeToolCallEvent"), "interrupt"), reason="this version of Strands has no interrupts"
)
REASON = {"text": "refund above limit", "eur": 1204}
PART = {"HX-Request": "true"}


@tool
def refund(order: str) -> str:
    """Refund an order."""
    return f"refunded {order}"


def asker(log: SessionLog, session: str, *script: Any, reason: Any = REASON, agent: str = "billing") -> Any:
    """An agent that asks before it calls a tool."""

    def ask(event: Any) -> None:
        if not event.interrupt("approve-refund", reason=reason):
            event.cancel_tool = "denied"

    manager = ValkeySessionManager(session, log=log)
    model = ScriptedModel(script or ["Done."])
    made = Agent(model=model, agent_id=agent, session_manager=manager, tools=[refund], callback_handler=None)
    made.hooks.add_callback(hook_event("BeforeToolCallEvent"), ask)
    return made


def wait(log: SessionLog, session: str, **asked: Any) -> Any:
    """A session that waits for a person."""
    return asker(log, session, [call("refund", order="881")], "Refunded.", **asked)("Refund order 881.").interrupts[0]


@pytest.fixture
def app_side() -> Iterator[Application]:
    """The application whose agents ask."""
    with application() as found:
        yield found


@pytest.fixture
def approver(session_log: SessionLog, app_side: Application) -> Iterator[TestClient]:
    """Somebody who answers."""
    answers = {"approve-refund": {"approve": True, "refuse": False}}
    with asking(session_log, answer_url=app_side.url, answer_secret="shared", answers=answers) as client:
        yield client


def confirmed(client: TestClient, **given: str) -> Any:
    """An answer as somebody gives and confirms it."""
    page = client.get("/inbox").text
    asked = client.post("/inbox/answer", data=form_of(page, "/inbox/answer") | {"person": "Ada"} | given)
    return client.post("/inbox/answer", data=form_of(asked.text, "/inbox/answer"))


def test_it_says_what_to_do_where_nobody_waits(session_log: SessionLog) -> None:
    with asking(session_log) as client:
        assert "Nobody waits for a person." in words_of(client.get("/inbox").text)


def test_it_has_what_is_asked_with_the_call_and_what_was_said_before(session_log: SessionLog) -> None:
    wait(session_log, "s")
    with asking(session_log) as client:
        told = words_of(client.get("/inbox").text)
    assert "1 waits for a person" in told
    assert "refund above limit" in told
    assert "order 881" in told
    assert "you Refund order 881." in told


def test_without_an_address_for_answers_it_shows_how_to_give_one_in_code(session_log: SessionLog) -> None:
    asked = wait(session_log, "s")
    with asking(session_log) as client:
        page = client.get("/inbox").text
        assert f'"interruptId": "{asked.id}"' in words_of(page)
        assert 'action="/inbox/answer"' not in page
        assert client.post("/inbox/answer", data={"person": "Ada"}).status_code == 403


def test_the_code_it_shows_answers(session_log: SessionLog) -> None:
    asked = wait(session_log, "s")
    response = {"interruptResponse": {"interruptId": asked.id, "response": "yes"}}
    asker(session_log, "s", "Refunded.")([response])
    with asking(session_log) as client:
        assert "Nobody waits" in words_of(client.get("/inbox").text)


def test_who_waits_longest_comes_first_and_agents_can_be_chosen(session_log: SessionLog) -> None:
    for session, agent in (("s-1", "billing"), ("s-2", "shop"), ("s-3", "billing")):
        wait(session_log, session, agent=agent)

    def listed(**query: str) -> list[str]:
        told = words_of(client.get("/inbox", params=query).text)
        return [word for word in told.split() if word in ("s-1", "s-2", "s-3")]

    with asking(session_log) as client:
        assert list(dict.fromkeys(listed())) == ["s-1", "s-2", "s-3"]
        assert list(dict.fromkeys(listed(order="newest"))) == ["s-3", "s-2", "s-1"]
        assert list(dict.fromkeys(listed(agent="shop"))) == ["s-2"]
        assert client.get("/inbox?before=nonsense").status_code == 200


def test_an_answer_is_sent_once_it_is_confirmed_with_who_gives_it(
    approver: TestClient, session_log: SessionLog, app_side: Application
) -> None:
    asked = wait(session_log, "s")
    page = approver.get("/inbox").text
    question = approver.post(
        "/inbox/answer", data=form_of(page, "/inbox/answer") | {"person": "Ada", "choice": "approve"}
    )
    assert "Send approve, true , as Ada ?".replace(" ", "") in words_of(question.text).replace(" ", "")
    assert app_side.taken == []
    answer = approver.post("/inbox/answer", data=form_of(question.text, "/inbox/answer"))
    assert "sent by Ada" in words_of(answer.text)
    (taken,) = app_side.taken
    head = session_log.anchor("s")
    assert taken.json == {
        "session_id": "s",
        "agent": "billing",
        "interrupt_id": asked.id,
        "name": "approve-refund",
        "answer": True,
        "person": "Ada",
        "revision": head.revision,
        "link": head.link,
    }


def test_a_page_that_is_open_is_told_each_by_itself_and_when_it_is_another(
    approver: TestClient, session_log: SessionLog
) -> None:
    def told() -> Any:
        return approver.get("/f/inbox", headers=PART).json()

    assert told() == {"heading": "0 wait for a person", "items": []}
    wait(session_log, "s")
    page = approver.get("/inbox").text
    (before,) = told()["items"]
    assert told() == {"heading": "1 waits for a person", "items": [before]}
    assert f'id="{before["id"]}"' in page
    assert f'data-version="{before["version"]}"' in page
    confirmed(approver, choice="approve")
    (after,) = told()["items"]
    assert (after["id"], "sent by Ada" in words_of(after["html"])) == (before["id"], True)
    assert after["version"] != before["version"]


def test_an_answer_is_signed_and_the_same_one_has_the_same_key(
    approver: TestClient, session_log: SessionLog, app_side: Application
) -> None:
    wait(session_log, "s")
    confirmed(approver, choice="approve")
    confirmed(approver, choice="approve")
    confirmed(approver, choice="refuse")
    keys = [one.headers["idempotency-key"] for one in app_side.taken]
    assert keys[0] == keys[1] != keys[2]
    time, proof = (part.partition("=")[2] for part in app_side.taken[0].headers["x-session-log-signature"].split(","))
    signed = hmac.new(b"shared", f"{time}.".encode() + app_side.taken[0].body, hashlib.sha256).hexdigest()
    assert proof == signed


def test_it_is_answered_once_the_log_says_so(
    approver: TestClient, session_log: SessionLog, app_side: Application
) -> None:
    wait(session_log, "s")
    confirmed(approver, choice="approve")
    given = app_side.taken[0].json
    query = {"session": "s", "interrupt": given["interrupt_id"]}
    assert "It is answered once the log has it." in words_of(approver.get("/f/inbox/item", params=query).text)
    response = {"interruptResponse": {"interruptId": given["interrupt_id"], "response": given["answer"]}}
    asker(session_log, "s", "Refunded.")([response])
    assert "✓ answered" in words_of(approver.get("/f/inbox/item", params=query, headers=PART).text)
    assert "Nobody waits" in words_of(approver.get("/inbox").text)


def test_the_second_person_is_told_of_the_first_and_asked(
    approver: TestClient, session_log: SessionLog, app_side: Application
) -> None:
    wait(session_log, "s")
    confirmed(approver, choice="approve")
    page = approver.get("/inbox").text
    assert "sent by Ada" in words_of(page)
    question = approver.post(
        "/inbox/answer", data=form_of(page, "/inbox/answer") | {"person": "Bo", "choice": "refuse"}
    )
    assert "Ada has sent" in words_of(question.text)
    assert len(app_side.taken) == 1


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"answer": "yes, but 5"}, "yes, but 5"),
        ({"answer": '{"eur": 5}', "as_json": "yes"}, {"eur": 5}),
        ({"answer": "5"}, "5"),
    ],
)
def test_an_answer_is_text_or_json(
    approver: TestClient, session_log: SessionLog, app_side: Application, given: dict[str, str], answer: Any
) -> None:
    wait(session_log, "s")
    confirmed(approver, **given)
    assert [one.json["answer"] for one in app_side.taken] == [answer]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"answer": " "}, "give an answer"),
        ({"choice": "delete"}, "give an answer"),
        ({"answer": "{", "as_json": "yes"}, "that is no JSON"),
        ({"answer": "NaN", "as_json": "yes"}, "that is no JSON"),
        ({"answer": "9" * 30, "as_json": "yes"}, "that is no JSON"),
        ({"answer": "[" * 20_000, "as_json": "yes"}, "that is no JSON"),
        ({"answer": "yes", "person": " "}, "say who you are"),
    ],
)
def test_what_is_no_answer_is_not_sent(
    approver: TestClient, session_log: SessionLog, app_side: Application, given: dict[str, str], told: str
) -> None:
    wait(session_log, "s")
    page = approver.get("/inbox").text
    answer = approver.post("/inbox/answer", data=form_of(page, "/inbox/answer") | {"person": "Ada"} | given)
    assert answer.status_code == 422
    assert told in words_of(answer.text)
    assert app_side.taken == []


def test_an_application_that_refuses_or_sends_elsewhere_has_not_taken_it(
    approver: TestClient, session_log: SessionLog, app_side: Application
) -> None:
    wait(session_log, "s")
    app_side.status = 500
    assert "the application refused it: 500" in words_of(confirmed(approver, choice="approve").text)
    app_side.status, app_side.location = 302, app_side.url
    assert "the application refused it: 302" in words_of(confirmed(approver, choice="approve").text)
    assert len(app_side.taken) == 2
    assert "sent by" not in words_of(approver.get("/inbox").text)


def test_an_application_that_is_away_is_told(session_log: SessionLog) -> None:
    wait(session_log, "s")
    with application() as gone:
        pass
    with asking(session_log, answer_url=gone.url) as client:
        assert "cannot be reached" in words_of(confirmed(client, answer="yes").text)


def test_an_answer_that_was_not_sent_from_here_is_refused(
    approver: TestClient, session_log: SessionLog, app_side: Application
) -> None:
    wait(session_log, "s")
    form = form_of(approver.get("/inbox").text, "/inbox/answer") | {"person": "Ada", "choice": "approve"}
    form["confirmed"] = "yes"
    assert approver.post("/inbox/answer", data=form | {"token": ""}).status_code == 403
    assert approver.post("/inbox/answer", data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert approver.get("/inbox/answer").status_code == 405
    assert app_side.taken == []


def test_what_waits_no_more_is_not_answered_again(
    approver: TestClient, session_log: SessionLog, app_side: Application
) -> None:
    asked = wait(session_log, "s")
    form = form_of(approver.get("/inbox").text, "/inbox/answer") | {"person": "Ada", "choice": "approve"}
    response = {"interruptResponse": {"interruptId": asked.id, "response": "yes"}}
    asker(session_log, "s", "Refunded.")([response])
    answer = approver.post("/inbox/answer", data=form | {"confirmed": "yes"})
    assert "✓ answered" in words_of(answer.text)
    assert app_side.taken == []


def test_what_is_asked_is_text_on_the_page(session_log: SessionLog) -> None:
    wait(session_log, "s", reason={"<img src=x onerror=alert(1)>": "<script>alert(1)</script>\u202e"})
    with asking(session_log) as client:
        page = client.get("/inbox").text
    assert "<img" not in page
    assert "<script>alert" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize("url", ["file:///etc/passwd", "answers", "ftp://x/"])
def test_answers_go_to_addresses_on_the_web(url: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        ViewerSettings(answer_url=url)
