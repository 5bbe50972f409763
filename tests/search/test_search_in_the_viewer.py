"""The viewer searches in what was said, where it has an index of it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from strands_session_log import SessionLog
from strands_session_log_consumers.search import Indexer, SearchIndex, open_index
from strands_session_log_consumers.viewer import ViewerSettings, app
from support.command_line import message


def client(log: SessionLog, file: Path | str | None) -> TestClient:
    settings = ViewerSettings(search_index=str(file) if file else "")
    return TestClient(app(log, settings=settings), base_url="http://127.0.0.1")


@pytest.fixture
def file(log: SessionLog, place: str) -> str:
    log.append("s 1", [message(number, "user", f"a <b>refund</b> {number}") for number in range(60)])
    with Indexer(log, open_index(place, log.namespace, create=True)) as indexer:
        indexer.sync()
    return place


def test_the_page_shows_hits_with_links_to_where_they_stand(log: SessionLog, file: str) -> None:
    pages = client(log, file)
    shown = pages.get("/search", params={"q": "refund"}).text
    assert shown.count("<mark>refund</mark>") == 50
    assert "<b>refund" not in shown
    assert "?at=60" in shown
    assert "Older hits" in shown
    assert 'href="/search"' in pages.get("/").text
    assert "/search?q=" in pages.get("/", params={"q": "nobody"}).text
    assert "parenthesis" in pages.get("/search", params={"q": "(x"}).text
    assert "no point" in pages.get("/search", params={"q": "x", "since": "banana"}).text


def test_programs_get_the_same_page_by_page(log: SessionLog, file: str) -> None:
    api = client(log, file)
    first = api.get("/api/v1/search", params={"q": "refund", "limit": 40}).json()
    second = api.get("/api/v1/search", params={"q": "refund", "limit": 40, "before": first["next"]}).json()
    assert [len(first["hits"]), len(second["hits"]), second["next"]] == [40, 20, None]
    assert {hit["session_id"] for hit in first["hits"]} == {"s 1"}
    for refused in ({}, {"q": "(x"}, {"q": "x", "label": "open"}, {"q": "x", "since": "7"}, {"q": "x", "before": "y"}):
        assert api.get("/api/v1/search", params=refused).status_code == 400


def test_without_an_index_there_is_no_search(log: SessionLog, tmp_path: Path) -> None:
    without = client(log, None)
    assert without.get("/api/v1/search", params={"q": "x"}).status_code == 404
    assert without.get("/search", params={"q": "x"}).status_code == 404
    assert "/search" not in without.get("/").text
    assert client(log, tmp_path / "missing").get("/api/v1/search", params={"q": "x"}).status_code == 503


def test_what_looks_like_a_secret_is_hidden_in_a_hit_as_it_is_in_the_message(log: SessionLog, tmp_path: Path) -> None:
    key = "sk-proj-" + "a1B2" * 10
    call = {"toolUse": {"toolUseId": "1", "name": "login", "input": {"dbPassword": "plainword", "user": "ada"}}}
    texts = [
        f"{'before it ' * 30}{key} is the key",
        "password=hunter2hunter2 for lisbon",
        "nothing to hide for lisbon",
    ]
    log.append(
        "s-2", [*(message(number, "user", text) for number, text in enumerate(texts)), message(3, "assistant", call)]
    )
    file = tmp_path / "secrets.db"
    with Indexer(log, SearchIndex(file, log.namespace, create=True)) as indexer:
        indexer.sync()
    pages = client(log, file)

    def outside(query: str) -> str:
        """What a page shows before anybody clicks."""
        hits = pages.get("/search", params={"q": query}).text.partition('<ol class="hits">')[2]
        assert 'class="secret"' in hits
        return re.sub(r'<span class="secret-text">.*?</span>', "", hits)

    # Found in the middle of it, cut at its beginning, and known by the name it stands under.
    assert "a1B2" not in outside("a1b2*")
    assert "a1B2" not in outside("key")
    assert "hunter2" not in outside("hunter2*")
    assert "plainword" not in outside("plainword")
    assert "plainword" not in outside("ada")
    shown = outside("lisbon")
    assert "nothing to hide for <mark>lisbon</mark>" in shown
    assert "password=" in shown


def test_what_is_hidden_may_have_characters_that_no_index_holds(log: SessionLog, tmp_path: Path) -> None:
    for number, secret in enumerate(("hush\x07hush", "hush\ud800hush")):
        call = {"toolUse": {"toolUseId": "1", "name": "login", "input": {"password": secret, "user": "ada"}}}
        log.append("s", message(number, "assistant", call))
    file = tmp_path / "secrets.db"
    with Indexer(log, SearchIndex(file, log.namespace, create=True)) as indexer:
        indexer.sync()
    page = client(log, file).get("/search", params={"q": "ada"}).text.partition('<ol class="hits">')[2]
    assert page.count("<mark>ada</mark>") == 2
    assert "hush" not in re.sub(r'<span class="secret-text">.*?</span>', "", page)


def test_many_secrets_in_a_long_message_are_hidden_in_no_time(log: SessionLog, tmp_path: Path) -> None:
    secrets = {"password": ["1" * length for length in range(1, 1_000)], "user": f"ada {'1' * 900_000}"}
    log.append("s", message(0, "assistant", {"toolUse": {"toolUseId": "1", "name": "login", "input": secrets}}))
    file = tmp_path / "secrets.db"
    with Indexer(log, SearchIndex(file, log.namespace, create=True)) as indexer:
        indexer.sync()
    pages, begun = client(log, file), time.monotonic()
    page = pages.get("/search", params={"q": "ada OR login"}).text
    assert time.monotonic() - begun < 5
    assert 'class="secret"' in page
