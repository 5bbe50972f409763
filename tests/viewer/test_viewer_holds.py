"""Who holds a session, and that it is about somebody, stands in the list, on its page, and in the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from strands_session_log import SessionLog
from support.asking import asking
from support.erasing import fill


@pytest.fixture
def people(server_url: str, namespace: str) -> Iterator[SessionLog]:
    """A log with a session that is held, and one that is not."""
    with SessionLog.connect(server_url, namespace, subject_key=b"k" * 32) as log:
        fill(log, 2, "free")
        fill(log, 2, "kept")
        log.subjects.annotate("kept", "user-77")
        log.retention.hold("kept", reason="<b>matter 12</b>", by="counsel")
        yield log


@pytest.fixture
def client(people: SessionLog) -> Iterator[TestClient]:
    with asking(people) as found:
        yield found


def test_the_list_marks_what_is_held(client: TestClient) -> None:
    rows = client.get("/").text.split("<tr ")
    assert [">held</span>" in row for row in rows if 'href="/s/free"' in row] == [False]
    assert [">held</span>" in row for row in rows if 'href="/s/kept"' in row] == [True]


def test_its_page_says_who_holds_it_and_why_and_that_it_is_about_somebody(client: TestClient) -> None:
    page = client.get("/s/kept").text
    assert "Held by <bdi>counsel</bdi>" in page
    assert "&lt;b&gt;matter 12&lt;/b&gt;" in page
    assert "about 1 person<" in page
    assert "user-77" not in page
    free = client.get("/s/free").text
    assert "Held" not in free
    assert "about 1 person<" not in free


def test_so_does_the_api(client: TestClient, people: SessionLog) -> None:
    found = client.get("/api/v1/sessions/kept").json()
    assert found["held"] is True
    assert [(one["by"], one["reason"]) for one in found["holds"]] == [("counsel", "<b>matter 12</b>")]
    assert found["subjects"] == list(people.subjects.marks("kept"))
    assert client.get("/api/v1/sessions/free").json()["holds"] == []
