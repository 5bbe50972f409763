"""Bundles of sessions whose content is encrypted: they verify without a key, and show it only if that was asked for."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strands_session_log import LocalKeys, SessionLog, verify_bundle
from support.bundles import bundle_of
from support.command_line import message
from support.tampering import entries_of, tamper

SECRET = "correct horse battery staple"
TRANSCRIPT = "sessions/0001/transcript.html"


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeys:
    return LocalKeys.new(tmp_path / "keys")


@pytest.fixture
def encrypted(server_url: str, namespace: str, keys: LocalKeys) -> Iterator[SessionLog]:
    with SessionLog.connect(server_url, namespace, encryption=keys) as log:
        log.append("s", [message(0, "user", SECRET), message(1, "assistant", f"{SECRET} again")])
        yield log


@pytest.fixture
def elsewhere(server_url: str, new_namespace: Callable[[], str], keys: LocalKeys) -> Iterator[SessionLog]:
    with SessionLog.connect(server_url, new_namespace(), encryption=keys) as log:
        yield log


def test_a_bundle_has_no_plaintext_and_verifies(encrypted: SessionLog) -> None:
    bundle = bundle_of(encrypted, "s")
    assert [name for name, data in bundle.members.items() if SECRET.encode() in data] == []
    assert all("body_base64" in line for line in bundle.lines())
    assert bundle.members[TRANSCRIPT].count(b"content encrypted") == 2
    assert verify_bundle(io.BytesIO(bundle.data)).ok


def test_the_transcript_is_readable_if_that_is_asked_for(encrypted: SessionLog, server_url: str) -> None:
    bundle = bundle_of(encrypted, "s", decrypt=True)
    assert [name for name, data in bundle.members.items() if SECRET.encode() in data] == [TRANSCRIPT]
    assert verify_bundle(io.BytesIO(bundle.data)).ok
    with SessionLog.connect(server_url, encrypted.namespace) as without_key:
        assert b"content encrypted" in bundle_of(without_key, "s", decrypt=True).members[TRANSCRIPT]


def test_a_ciphertext_that_was_changed_is_exported_as_it_is(encrypted: SessionLog) -> None:
    tamper(encrypted, 2, lambda fields: {**fields, "body": fields["body"][:-1] + b"!"})
    bundle = bundle_of(encrypted, "s", decrypt=True)
    assert bundle.members[TRANSCRIPT].count(b"content encrypted") >= 1
    assert not verify_bundle(io.BytesIO(bundle.data)).ok


def test_it_comes_back_encrypted_and_is_read_with_the_key(encrypted: SessionLog, elsewhere: SessionLog) -> None:
    (found,) = elsewhere.import_(io.BytesIO(bundle_of(encrypted, "s").data))
    assert found.outcome == "imported"
    assert entries_of(elsewhere) == entries_of(encrypted)
    assert elsewhere.verify("s", feed=True).ok
    assert SECRET in str(elsewhere.event("s", 1).event.data)
