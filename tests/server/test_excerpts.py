"""What servers keep of commands beside the keys, as docs/security.md says, and that it can be switched off."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.server import advice, inspect
from support import ValkeyliteServer
from support.clients import Client

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text().partition("## What outlives an erasure")[2]
SECRET = "the-secret"
LARGE = events.Custom("custom.note", {"text": SECRET + "." * 1_100_000})


def kept(client: Client) -> str:
    return str([client.execute_command("COMMANDLOG", "GET", -1, kind) for kind in ("slow", "large-request")])


def written_and_erased(log: SessionLog, session_id: str) -> None:
    log.append(session_id, LARGE)
    log.erase(session_id, 1, reason="of the test")


@pytest.mark.parametrize("source", ["page", "doctor"])
def test_excerpts_of_large_events_outlive_an_erasure_unless_that_is_switched_off(source: str) -> None:
    with ValkeyliteServer() as server, SessionLog.connect(server.url) as log, server.client() as client:
        written_and_erased(log, "before")
        assert SECRET in kept(client)

        if source == "page":
            cures = re.findall(r"`((?:CONFIG SET|SLOWLOG|COMMANDLOG RESET)[^`]+)`", PAGE)
        else:
            [finding] = [one for one in advice(inspect(client)) if one.subject == "excerpts"]
            cures = re.split("[;,] ", finding.cure)
        for cure in cures:
            client.execute_command(*cure.split())
        written_and_erased(log, "after")

        assert SECRET not in kept(client)
        assert inspect(client).excerpts == {}
