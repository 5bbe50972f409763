"""Every session has one address, whatever its id is made of, and no address leads elsewhere."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log_consumers.viewer.addresses import path_of, session_of, session_path, with_query


@pytest.mark.parametrize("session_id", ["s-42", "user@example.com", "a:b", "2026-11-29", "_", "v1.2"])
def test_a_plain_id_stands_as_it_is(session_id: str) -> None:
    assert path_of(session_id) == session_id


@pytest.mark.parametrize(
    "session_id", ["..", ".", "a/b", "../../etc", "~s", "a#b", "a?b", "a b", "%2e%2e", "日本", "\u202e"]
)
def test_what_a_browser_would_resolve_or_read_otherwise_is_encoded(session_id: str) -> None:
    path = path_of(session_id)
    assert path.startswith("~")
    assert path.isascii()
    assert not set(path) & set("/.?#%")


@given(st.text(min_size=1))
def test_an_id_comes_back_from_its_address(session_id: str) -> None:
    assert session_of(path_of(session_id)) == session_id


@given(st.text())
def test_any_path_names_some_session(path: str) -> None:
    assert isinstance(session_of(path), str)


def test_an_address_has_what_was_asked_and_leaves_out_what_is_nothing() -> None:
    assert session_path("s-42") == "/s/s-42"
    assert session_path("s-42", "e/4") == "/s/s-42/e/4"
    assert session_path("s-42", at=9, l="", b=None) == "/s/s-42?at=9"


def test_a_query_is_changed_in_one_place() -> None:
    changed = with_query("/s/x", {"at": "4", "find": "a&b", "l": "x"}, at=5, l=None)
    assert parse_qs(urlsplit(changed).query) == {"at": ["5"], "find": ["a&b"]}
    assert with_query("/s/x", {"at": "4"}, at=None) == "/s/x"
