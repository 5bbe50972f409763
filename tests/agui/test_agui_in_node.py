"""The official client, in Node: cut off in the middle of a run, it comes back and ends with the same."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_agui_runs import make_adder

from strands_session_log import SessionLog
from support.served_agui import served_agui

pytestmark = [pytest.mark.agui, pytest.mark.timeout(600)]
CLIENT = Path(__file__).parent / "client"
CUTS = 50


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    subprocess.run(["npm", "install", "--silent", "--no-package-lock"], cwd=CLIENT, check=True)


def talk(url: str, thread: str, cut: int) -> Any:
    """Begin a run, be cut off after so many events, and come back."""
    run = ["node", "client.mjs", f"{url}/", thread, str(cut)]
    return json.loads(subprocess.run(run, cwd=CLIENT, check=True, capture_output=True).stdout)


def test_the_official_client_ends_with_the_same_wherever_it_was_cut_off(session_log: SessionLog) -> None:
    cut_at = random.Random(17)
    with served_agui(session_log, make_adder) as url:
        whole = talk(url, "whole", 10_000)
        assert whole["run"] == whole["after"]
        for number in range(CUTS):
            seen = talk(url, f"cut-{number}", cut_at.randint(1, whole["seen"] - 1))
            assert (seen["after"], seen["state"]) == (whole["after"], whole["state"])
