"""People verify, answer, fork, rewind and erase, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from strands_session_log import SessionLog, events
from support.answers import Application, application
from support.browsing import NARROW, Visitor
from support.conversations import REFUND, TRIP, agent_of, clerk
from support.terminal import environment_of
from support.viewing import ViewerProcess

pytestmark = pytest.mark.viewer

Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def app_side() -> Iterator[Application]:
    """The application whose agents ask."""
    with application() as found:
        yield found


@pytest.fixture(scope="module")
def editing(
    seen_log: SessionLog, seen_url: str, app_side: Application, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ViewerProcess]:
    """A viewer that may write, and sends answers."""
    environment = environment_of(seen_url, seen_log.namespace)
    directory = tmp_path_factory.mktemp("editing")
    with ViewerProcess(environment, directory, "--allow-write", "--answer-url", app_side.url) as running:
        yield running


@pytest.fixture
def editor(visit: Visit, editing: ViewerProcess) -> Visitor:
    """Somebody who may write."""
    return visit(editing.address)


def talked(log: SessionLog, session_id: str) -> int:
    """A session in which something was said; where the first answer stands."""
    agent = agent_of(log, session_id, ["First answer.", "Second answer."])
    agent("First question.")
    at = log.head(session_id).revision
    agent("Second question.")
    return at


def act(page: Page, name: str) -> None:
    page.locator("details.menu summary").click()
    page.get_by_role("link", name=name).click()
    expect(page.locator("#sheet-dialog .sheet")).to_be_visible()


def test_the_header_says_that_all_is_checked_and_goes_on_with_the_session(visit: Visit, seen_log: SessionLog) -> None:
    talked(seen_log, "goes-on")
    page = visit().open("/s/goes-on")
    head = seen_log.head("goes-on").revision
    expect(page.locator("#verified")).to_contain_text(f"✓ checked to r{head}")
    seen_log.append("goes-on", events.Custom("custom.note", {"text": "one more"}))
    expect(page.locator("#verified")).to_contain_text(f"✓ checked to r{head + 1}")


def test_a_key_verifies_and_a_pasted_address_is_held_against_it(visit: Visit, seen_log: SessionLog) -> None:
    visitor = visit()
    page = visitor.open(f"/s/{TRIP}")
    visitor.press("v")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("the chain is intact")
    link = seen_log.event(TRIP, 4).link[:8]
    dialog.get_by_label("Hold it against").fill(f"{visitor.url}/s/{TRIP}?at=4&l={link}")
    dialog.get_by_role("button", name="Verify").click()
    expect(dialog).to_contain_text("✓ r4 is the event that the address meant")
    assert visitor.barriers() == []
    visitor.press("Escape")
    expect(dialog).to_have_count(0)


def test_what_cannot_be_done_is_there_and_says_why(visit: Visit) -> None:
    page = visit().open(f"/s/{TRIP}")
    page.locator("details.menu summary").click()
    for name in ("Fork here…", "Rewind to here…", "Erase…"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    expect(page.locator("#reads-only")).to_contain_text("--allow-write")


def test_a_fork_begins_at_the_point_that_is_shown(editor: Visitor, seen_log: SessionLog) -> None:
    at = talked(seen_log, "to-fork")
    page = editor.open(f"/s/to-fork?at={at + 1}")
    expect(page.locator("#slider")).to_have_value(str(at + 1))
    editor.press("ArrowLeft")
    act(page, "Fork here…")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"the first {at} of")
    dialog.get_by_label("Id of the new session").fill("forked-here")
    dialog.get_by_label("Your name").fill("Ada")
    assert editor.barriers() == []
    dialog.get_by_role("button", name="Fork").click()
    expect(dialog).to_contain_text("forked-here begins with the first")
    dialog.get_by_role("link", name="Open it").click()
    expect(page).to_have_url(re.compile("/s/forked-here"))
    assert seen_log.event("forked-here", at + 1).event.data["by"] == "Ada"


def test_a_rewind_is_confirmed_and_undone(editor: Visitor, seen_log: SessionLog) -> None:
    at = talked(seen_log, "to-rewind")
    head = seen_log.head("to-rewind").revision
    page = editor.open(f"/s/to-rewind?at={at}")
    act(page, "Rewind to here…")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Second question.")
    dialog.get_by_label("Your name").fill("Ada")
    dialog.get_by_role("button", name="Rewind").click()
    expect(dialog).to_contain_text(f"Agents go on from r{at}")
    dialog.get_by_role("link", name=f"rewind to r{head}").click()
    # Who somebody is stays.
    expect(dialog.get_by_label("Your name")).to_have_value("Ada")
    dialog.get_by_role("button", name="Rewind").click()
    expect(dialog).to_contain_text(f"Agents go on from r{head}")
    assert [len(agent.window) for agent in seen_log.state("to-rewind").agents.values()] == [4]


def test_nothing_is_erased_unless_the_id_was_typed(editor: Visitor, seen_log: SessionLog) -> None:
    talked(seen_log, "to-erase")
    at = next(one.id.revision for one in seen_log.read("to-erase") if "First question." in str(one.event.data))
    page = editor.open(f"/s/to-erase?at={at}")
    act(page, "Erase…")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The content of 1 event goes for good.")
    dialog.get_by_label("Why").fill("request 17")
    dialog.get_by_label("Your name").fill("Bo")
    dialog.get_by_label("Type to-erase").fill("to-era")
    dialog.get_by_role("button", name="Erase").click()
    expect(dialog.get_by_role("alert")).to_contain_text("type the id")
    assert not seen_log.event("to-erase", at).event.is_erased
    dialog.get_by_label("Type to-erase").fill("to-erase")
    assert editor.barriers() == []
    dialog.get_by_role("button", name="Erase").click()
    expect(dialog).to_contain_text("is erased")
    assert seen_log.event("to-erase", at).event.is_erased


def test_a_person_answers_with_three_taps_on_a_telephone(
    visit: Visit, editing: ViewerProcess, app_side: Application
) -> None:
    visitor = visit(editing.address, size=NARROW)
    page = visitor.open("/inbox")
    item = page.locator("article.asked", has_text=REFUND)
    item.get_by_label("Your name").fill("Ada")
    item.get_by_label("Answer").fill("yes")
    assert visitor.barriers() == []
    item.get_by_role("button", name="Answer…").click()
    expect(item).to_contain_text("as Ada")
    assert app_side.taken == []
    item.get_by_role("button", name="Send").click()
    expect(item).to_contain_text("sent by Ada")
    (taken,) = app_side.taken
    assert (taken.json["session_id"], taken.json["answer"], taken.json["person"]) == (REFUND, "yes", "Ada")


def test_the_inbox_gets_who_begins_to_wait_and_says_who_was_answered(
    visit: Visit, editing: ViewerProcess, seen_log: SessionLog
) -> None:
    visitor = visit(editing.address)
    page = visitor.open("/inbox")
    draft = page.locator("article.asked", has_text=REFUND).get_by_label("Answer")
    draft.fill("yes, but")
    asked: Any = clerk(seen_log, "waits-later")("Money back.").interrupts
    item = page.locator("article.asked", has_text="waits-later")
    expect(item).to_contain_text("More than 100 EUR")
    expect(page.locator("h1")).to_contain_text("wait for a person")
    response: Any = [{"interruptResponse": {"interruptId": asked[0].id, "response": "yes"}}]
    clerk(seen_log, "waits-later", "Refunded.")(response)
    expect(item).to_contain_text("✓ answered")
    expect(draft).to_have_value("yes, but")
    assert visitor.barriers() == []


def test_whoever_has_the_inbox_open_sees_that_another_has_sent_an_answer(
    visit: Visit, editing: ViewerProcess, seen_log: SessionLog
) -> None:
    asked: Any = clerk(seen_log, "two-look")("Money back.").interrupts
    one, other = (visit(editing.address).open("/inbox") for _ in range(2))
    item = one.locator("article.asked", has_text="two-look")
    item.get_by_label("Your name").fill("Ada")
    item.get_by_label("Answer").fill("yes")
    item.get_by_role("button", name="Answer…").click()
    item.get_by_role("button", name="Send").click()
    expect(other.locator("article.asked", has_text="two-look")).to_contain_text("sent by Ada")
    response: Any = [{"interruptResponse": {"interruptId": asked[0].id, "response": "yes"}}]
    clerk(seen_log, "two-look", "Refunded.")(response)
    for page in (one, other):
        expect(page.locator("article.asked", has_text="✓ answered")).to_contain_text("two-look")


def test_it_all_works_without_scripts(visit: Visit, editing: ViewerProcess, seen_log: SessionLog) -> None:
    at = talked(seen_log, "without-scripts")
    visitor = visit(editing.address, java_script_enabled=False)
    page = visitor.open(f"/s/without-scripts/rewind?at={at}")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Rewind").click()
    expect(page.locator("main")).to_contain_text(f"Agents go on from r{at}")
    visitor.open("/s/without-scripts/verify")
    expect(page.locator("main")).to_contain_text("the chain is intact")


@pytest.mark.parametrize("part", ["verify", "fork?at=4", "rewind?at=4", "erase?at=4"])
def test_no_page_keeps_anybody_out(editor: Visitor, visit: Visit, editing: ViewerProcess, part: str) -> None:
    for visitor in (editor, visit(editing.address, size=NARROW, color_scheme="dark")):
        page = visitor.open(f"/s/{TRIP}/{part}")
        expect(page.locator(".sheet [data-again]")).to_have_count(0)
        assert visitor.barriers() == []
        wide, has = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= has
