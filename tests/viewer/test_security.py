"""Who may ask, under which name, and what a browser may do with the answer."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from strands_session_log_consumers.viewer.security import AccessMiddleware
from strands_session_log_consumers.viewer.settings import ViewerSettings

TOKEN = "a-long-and-secret-token"
THERE = "http://localhost:8765"


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"seen {request.url.query}")


def client(settings: ViewerSettings | None = None, there: str = THERE) -> TestClient:
    served = Starlette(routes=[Route("/{path:path}", page, methods=["GET", "POST"])])
    return TestClient(AccessMiddleware(served, settings or ViewerSettings()), there, follow_redirects=False)


@pytest.mark.parametrize("host", ["localhost", "localhost:8765", "127.0.0.1:1", "[::1]:8765", "LOCALHOST"])
def test_this_machine_s_own_names_are_known(host: str) -> None:
    assert client().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "localhost@evil.example"]
)
def test_a_foreign_name_that_leads_here_is_refused(host: str) -> None:
    assert client().get("/", headers={"Host": host}).status_code == 421


def test_other_names_are_those_it_was_told() -> None:
    told = client(ViewerSettings(hosts=("Agents.example.com",)))
    assert told.get("/", headers={"Host": "agents.example.com:443"}).status_code == 200
    assert told.get("/", headers={"Host": "others.example.com"}).status_code == 421
    assert client(ViewerSettings(hosts=("*",))).get("/", headers={"Host": "any.example"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": THERE},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
    ],
)
def test_what_a_page_of_another_site_sends_is_refused(headers: dict[str, str]) -> None:
    assert client().post("/", headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": THERE}, {}])
def test_what_its_own_pages_and_programs_send_is_taken(headers: dict[str, str]) -> None:
    assert client().post("/", headers=headers).status_code == 200


def test_nothing_is_shown_without_the_token() -> None:
    asking = client(ViewerSettings(token=TOKEN))
    for address in ("/", "/?token=", "/?token=wrong", f"/?Token={TOKEN}", f"/?token={TOKEN}x"):
        answer = asking.get(address)
        assert answer.status_code == 401
        assert "seen" not in answer.text
        assert "set-cookie" not in answer.headers


def test_the_token_leaves_the_address_and_a_cookie_takes_its_place() -> None:
    asking = client(ViewerSettings(token=TOKEN))
    first = asking.get(f"/s/s-42?at=9&token={TOKEN}&l=x")
    assert (first.status_code, first.headers["location"]) == (303, "/s/s-42?at=9&l=x")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    assert asking.get("/s/s-42?at=9").text == "seen at=9"


def test_the_token_leaves_the_address_of_whoever_is_known_already_too() -> None:
    asking = client(ViewerSettings(token=TOKEN))
    asking.get(f"/?token={TOKEN}")
    for token in (TOKEN, "an-old-one", ""):
        again = asking.get(f"/s/s-42?token={token}&at=9&find=")
        assert (again.status_code, again.headers["location"]) == (303, "/s/s-42?at=9&find=")
    assert client(ViewerSettings(token=TOKEN)).get(f"/?token=x&token={TOKEN}").headers["location"] == "/"


def test_the_cookie_goes_over_https_only_where_that_is_spoken() -> None:
    secured = client(ViewerSettings(token=TOKEN), "https://localhost").get(f"/?token={TOKEN}")
    assert "Secure" in secured.headers["set-cookie"]


def test_a_cookie_of_another_token_opens_nothing() -> None:
    asking = client(ViewerSettings(token=TOKEN))
    given = client(ViewerSettings(token="another-token")).get("/?token=another-token").headers["set-cookie"]
    assert asking.get("/", headers={"Cookie": given.partition(";")[0]}).status_code == 401
    assert asking.get("/", headers={"Cookie": "session_log_viewer"}).status_code == 401


def test_two_viewers_of_one_machine_keep_their_cookies_apart() -> None:
    names = {
        client(ViewerSettings(token=token)).get(f"/?token={token}").headers["set-cookie"].partition("=")[0]
        for token in ("token-of-the-first", "token-of-the-second")
    }
    assert len(names) == 2


def test_programs_show_the_token_in_a_header() -> None:
    asking = client(ViewerSettings(token=TOKEN))
    assert asking.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert asking.get("/", headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401


def test_the_token_leads_to_no_other_server() -> None:
    asking = client(ViewerSettings(token=TOKEN), "http://localhost")
    answer = asking.get(f"http://localhost//evil.example/?token={TOKEN}")
    assert answer.headers["location"] == "/evil.example/"


def test_every_answer_says_what_a_browser_may_do_with_it() -> None:
    asking = client(ViewerSettings(token=TOKEN))
    for answer in (asking.get("/"), asking.get("/", headers={"Host": "evil.example"}), client().get("/")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_the_nonce_of_scripts_is_another_one_for_each_page() -> None:
    asking = client()
    nonces = {re.findall(r"nonce-([\w-]+)", asking.get("/").headers["content-security-policy"])[0] for _ in range(20)}
    assert len(nonces) == 20
    assert all(len(nonce) >= 20 for nonce in nonces)


def test_neither_token_nor_secret_is_told_by_the_settings() -> None:
    assert "secret" not in repr(ViewerSettings(token="secret-token", answer_secret="secret-of-answers"))
