"""The viewer within an application of somebody else's: under any path, beside another viewer."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from strands_session_log import SessionLog
from strands_session_log_consumers.viewer import ViewerSettings, app
from support.command_line import write_session


def mounted(**viewers: SessionLog) -> TestClient:
    routes = [Mount(f"/deep/{name}", app(log)) for name, log in viewers.items()]
    return TestClient(Starlette(routes=routes), "http://localhost")


def test_every_address_of_a_mounted_viewer_stays_within_it(talk: SessionLog) -> None:
    asking = mounted(sessions=talk)
    for path in ("", "s/s-42", "s/s-42?at=4", "s/s-42/e/4", "inbox", "s/none"):
        text = asking.get(f"/deep/sessions/{path}").text
        addresses = re.findall(r'(?:href|src|action|hx-get|hx-post|data-base|data-fragments)="(/[^"]*)"', text)
        assert len(addresses) > 3
        assert {one for one in addresses if not one.startswith("/deep/sessions/")} == set()


def test_what_its_pages_need_is_there(talk: SessionLog) -> None:
    asking = mounted(sessions=talk)
    page = asking.get("/deep/sessions/s/s-42").text
    for address in re.findall(r'(?:src|href)="([^"]*/static/[^"]*)"', page):
        answer = asking.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert asking.get("/deep/sessions/s/s-42/timeline/0").status_code == 200


def test_the_token_of_a_mounted_viewer_leads_back_to_it(talk: SessionLog) -> None:
    viewer = app(talk, settings=ViewerSettings(token="a-long-token"))
    asking = TestClient(Starlette(routes=[Mount("/deep", viewer)]), "http://localhost", follow_redirects=False)
    answer = asking.get("/deep/s/s-42?at=4&token=a-long-token")
    assert answer.headers["location"] == "/deep/s/s-42?at=4"
    assert asking.get("/deep/s/s-42?at=4").status_code == 200


def test_two_viewers_in_one_process_know_nothing_of_each_other(
    server_url: str, new_namespace: Callable[[], str]
) -> None:
    with SessionLog.connect(server_url, new_namespace()) as one, SessionLog.connect(server_url, new_namespace()) as two:
        write_session(one)
        asking = mounted(one=one, two=two)
        assert asking.get("/deep/one/s/s-42").status_code == 200
        assert asking.get("/deep/two/s/s-42").status_code == 404
