"""What looks like a key or a password is marked wherever it stands, so that a page can hide it; nothing else is."""

from __future__ import annotations

import pytest

from strands_session_log import SessionLog, events
from strands_session_log_consumers.viewer.content.markup import code, markdown, visible
from strands_session_log_consumers.viewer.content.secrets import is_secret_name, secrets_in
from support.asking import asking
from support.command_line import message

OPENAI = "sk-proj-" + "a1B2" * 10
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc==\n-----END RSA PRIVATE KEY-----"
SECRETS = {
    OPENAI: OPENAI,
    "AKIAIOSFODNN7EXAMPLE": "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9: "ghp_" + "a1B2" * 9,
    JWT: JWT,
    PEM: PEM,
    "password=hunter2secret": "hunter2secret",
    '"api_key": "0123456789abcdef"': "0123456789abcdef",
    "postgres://ada:s3cret!@db/x": "s3cret!",
}
HARMLESS = (
    "the sk-learn package",
    "a token: something that agents pay for",
    "https://example.com/a?b=1",
    "password reset",
    "secret = everything",
    "AKIA is how they begin",
    "inputTokens: 12345678901",
)


@pytest.mark.parametrize(("text", "secret"), SECRETS.items())
def test_what_looks_like_a_secret_is_found_whole(text: str, secret: str) -> None:
    around = f"Take {text} and go."
    assert [around[first:last] for first, last in secrets_in(around)] == [secret]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_say_of_secrets_is_none(text: str) -> None:
    assert list(secrets_in(text)) == []


@pytest.mark.parametrize("shown", [visible, markdown, code, lambda text: code(f"x = '{text}'", "python")])
def test_it_is_marked_in_whatever_it_is_shown_as(shown: object) -> None:
    assert callable(shown)
    html = str(shown(f"Take {OPENAI} and go."))
    marked = (
        f'title="Hidden at the eye only. To be rid of it, erase the event."><span class="secret-text">{OPENAI}</span>'
    )
    assert html.count(marked) == 1
    assert html.count(OPENAI) == 1


def test_a_key_of_many_lines_is_marked_whole_also_in_markdown() -> None:
    html = str(markdown(f"Here it is:\n\n{PEM}\n"))
    assert "MIIEpAIBAAKCAQEA" not in html.partition('class="secret"')[0]
    assert html.count('class="secret"') == 1


def test_names_tell_of_secrets_that_look_like_nothing() -> None:
    assert is_secret_name("dbPassword")
    assert is_secret_name("x-api-key")
    assert not is_secret_name("inputTokens")


def test_a_search_for_secrets_takes_no_time_whatever_the_text_is() -> None:
    for hostile in (
        "password=" * 20_000,
        "a://" * 40_000,
        "-----BEGIN PRIVATE KEY-----" * 4_000,
        "eyJ" + "a." * 60_000,
    ):
        assert isinstance(list(secrets_in(hostile)), list)


@pytest.mark.parametrize("mask", [True, False])
def test_a_viewer_can_be_told_to_hide_nothing(log: SessionLog, mask: bool) -> None:
    log.append("s", events.AgentCreated({"agent_id": "default", "state": {"db_password": "correct horse"}}, "default"))
    log.append("s", message(0, "user", f"It is {OPENAI}."))
    with asking(log, mask=mask) as client:
        page = client.get("/s/s").text
    assert ('data-secrets="shown"' in page) is not mask
    assert page.count('class="secret"') == 3
