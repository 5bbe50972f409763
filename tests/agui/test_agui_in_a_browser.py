"""The official client, in Chromium: cut off, loaded anew, or its server killed, the page ends with the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from strands_session_log import SessionLog
from support.agui_client import served_page, started_replicas
from support.agui_program import AguiReplica
from support.browsing import chromium
from support.served_agui import make_adder, served_agui

pytestmark = [pytest.mark.agui, pytest.mark.timeout(600)]
THREADS, MOST_CUTS, CUTS, MOMENTS = 40, 3, 50, 8


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def replicas(session_log: SessionLog, server_url: str) -> Iterator[Callable[[], AguiReplica]]:
    with started_replicas(server_url, session_log.namespace) as start:
        yield start


@pytest.fixture(scope="module")
def page_url() -> Iterator[str]:
    with served_page() as url:
        yield url


@pytest.fixture
def page(browser: Browser, page_url: str) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(page_url)
    page.wait_for_function("() => Boolean(window.follow)")
    yield page
    page.close()


def test_a_page_ends_with_the_same_wherever_its_connection_was_cut_off(page: Page, session_log: SessionLog) -> None:
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    with served_agui(session_log, make_adder) as one, served_agui(session_log, make_adder) as other:
        talk = "([one, other, cuts]) => window.talk(`${one}/`, `${other}/`, cuts)"
        (whole,) = page.evaluate(talk, [one, other, [[]]])
        assert whole["errors"] == []
        cuts = [[moments.randrange(whole["bytes"]) for _ in range(MOST_CUTS)] for _ in range(THREADS)]
        ends = page.evaluate(talk, [one, other, cuts])
    assert sum(end["cuts"] for end in ends) >= CUTS
    for places, end in zip(cuts, ends, strict=True):
        assert (end["messages"], end["state"]) == (whole["messages"], whole["state"]), (seed, places)


def follow(page: Page, thread: str, *replicas: AguiReplica) -> None:
    page.evaluate("([urls, thread]) => void window.follow(urls, thread)", [[one.url for one in replicas], thread])


def ended(page: Page) -> tuple[Any, Any]:
    end = page.wait_for_function("() => window.ended").json_value()
    return end["messages"], end["state"]


def undisturbed(page: Page, *replicas: AguiReplica) -> tuple[tuple[Any, Any], int]:
    follow(page, "whole", *replicas)
    end, heard = ended(page), page.evaluate("window.heard")
    page.reload()
    page.wait_for_function("() => Boolean(window.follow)")
    return end, heard


def has_heard(page: Page, events: int) -> None:
    page.wait_for_function("(events) => window.heard >= events || window.ended", arg=events, polling=1)


def test_a_page_that_is_loaded_anew_ends_with_the_same(page: Page, replicas: Callable[[], AguiReplica]) -> None:
    seed = random.randrange(1 << 32)
    moments, one, other = random.Random(seed), replicas(), replicas()
    whole, heard = undisturbed(page, one, other)
    for number in range(MOMENTS):
        at = moments.randrange(1, heard - 1)
        follow(page, f"reloaded-{number}", one, other)
        has_heard(page, at)
        page.reload()
        page.wait_for_function("() => Boolean(window.follow)")
        follow(page, f"reloaded-{number}", other, one)
        assert ended(page) == whole, (seed, at)
        page.reload()
        page.wait_for_function("() => Boolean(window.follow)")


def test_a_page_ends_with_the_same_when_its_web_server_is_killed_and_started_again(
    page: Page, replicas: Callable[[], AguiReplica]
) -> None:
    seed = random.randrange(1 << 32)
    moments, only = random.Random(seed), replicas()
    whole, heard = undisturbed(page, only)
    for number in range(MOMENTS):
        at = moments.randrange(1, heard - 1)
        follow(page, f"restarted-{number}", only)
        has_heard(page, at)
        only.restart()
        assert ended(page) == whole, (seed, at)
        page.reload()
        page.wait_for_function("() => Boolean(window.follow)")


def test_a_page_ends_with_the_same_when_it_fails_over_to_a_second_replica(
    page: Page, replicas: Callable[[], AguiReplica]
) -> None:
    one, other = replicas(), replicas()
    whole, heard = undisturbed(page, one, other)
    follow(page, "gone", one, other)
    has_heard(page, heard // 2)
    one.kill()
    assert ended(page) == whole
