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
THREADS, MOST_CUTS, CUTS = 40, 3, 50


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    subprocess.run(["npm", "install", "--silent", "--no-package-lock"], cwd=CLIENT, check=True)


def talk(*urls: str, cuts: list[list[int]]) -> Any:
    """Begin a run in each thread, be cut off after so many bytes, come back, and so on; how each ended."""
    run = ["node", "client.mjs", *(f"{url}/" for url in urls), json.dumps(cuts)]
    ended = subprocess.run(run, cwd=CLIENT, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_official_client_ends_with_the_same_wherever_it_was_cut_off(session_log: SessionLog) -> None:
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    with served_agui(session_log, make_adder) as one, served_agui(session_log, make_adder) as other:
        whole, *_ = talk(one, other, cuts=[[]])
        assert whole["errors"] == []
        cuts = [[moments.randrange(whole["bytes"]) for _ in range(MOST_CUTS)] for _ in range(THREADS)]
        # The first of them is there already.
        ends = talk(one, other, cuts=cuts)
    assert sum(end["cuts"] for end in ends) >= CUTS
    for places, end in zip(cuts, ends, strict=True):
        assert set(end["errors"]) <= {"TypeError: the connection was lost"}, (seed, places)
        assert (end["messages"], end["state"]) == (whole["messages"], whole["state"]), (seed, places)
