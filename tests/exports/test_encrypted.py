"""Encrypted sessions in other forms: in the clear for who has the key, told of as encrypted for everybody else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strands_session_log import LocalKeys, SessionLog
from strands_session_log.exports import cloudevents, jsonl, markdown, parquet
from support.clients import Client
from support.command_line import message

SECRET = "My card is 4111."


@pytest.mark.parametrize("form", [cloudevents, jsonl, markdown, parquet], ids=lambda one: one.__name__)
def test_without_the_key_every_form_says_that_content_is_encrypted(
    client: Client, namespace: str, tmp_path: Path, form: object
) -> None:
    export = form.export  # type: ignore[attr-defined]
    with SessionLog(client, namespace, encryption=LocalKeys.new(tmp_path / "keys")) as log:
        log.append("s", message(0, "user", SECRET))
        with_key = b"".join(export(log, "s", lambda done, total: None))
    with SessionLog(client, namespace) as reader:
        without = b"".join(export(reader, "s", lambda done, total: None))
    assert SECRET.encode() in with_key
    assert SECRET.encode() not in without
    assert b"encrypted" in without or b"sealed" in without


def test_the_role_of_a_message_is_known_all_the_same(client: Client, namespace: str, tmp_path: Path) -> None:
    with SessionLog(client, namespace, encryption=LocalKeys.new(tmp_path / "keys")) as log:
        log.append("s", message(0, "user", SECRET))
    with SessionLog(client, namespace) as reader:
        (row,) = map(json.loads, jsonl.export(reader, "s", lambda done, total: None))
    assert (row["role"], row["message_index"], row["text"], row["status"]) == ("user", 0, None, "sealed")
