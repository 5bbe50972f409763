"""The official client, in Node: cut off in the middle of a run, or its server killed, it ends with the same."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from strands_session_log import SessionLog
from support.agui_client import installed_client, started_replicas
from support.agui_program import AguiReplica
from support.served_agui import make_adder, served_agui

pytestmark = [pytest.mark.agui, pytest.mark.timeout(600)]
THREADS, MOST_CUTS, CUTS, KILLS = 40, 3, 50, 10


@pytest.fixture(scope="module")
def client() -> Path:
    return installed_client()


@pytest.fixture
def replicas(session_log: SessionLog, server_url: str) -> Iterator[Callable[[], AguiReplica]]:
    with started_replicas(server_url, session_log.namespace) as start:
        yield start


def talk(client: Path, *urls: str, cuts: list[list[int]]) -> Any:
    """Begin a run in each thread, be cut off after so many bytes, come back, and so on; how each ended."""
    run = ["node", "client.mjs", "talk", *(f"{url}/" for url in urls), json.dumps(cuts)]
    ended = subprocess.run(run, cwd=client, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_official_client_ends_with_the_same_wherever_it_was_cut_off(client: Path, session_log: SessionLog) -> None:
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    with served_agui(session_log, make_adder) as one, served_agui(session_log, make_adder) as other:
        whole, *_ = talk(client, one, other, cuts=[[]])
        assert whole["errors"] == []
        cuts = [[moments.randrange(whole["bytes"]) for _ in range(MOST_CUTS)] for _ in range(THREADS)]
        # The first of them is there already.
        ends = talk(client, one, other, cuts=cuts)
    assert sum(end["cuts"] for end in ends) >= CUTS
    for places, end in zip(cuts, ends, strict=True):
        assert set(end["errors"]) <= {"TypeError: the connection was lost"}, (seed, places)
        assert (end["messages"], end["state"]) == (whole["messages"], whole["state"]), (seed, places)


def persist(client: Path, thread: str, *urls: str, meanwhile: dict[int, Callable[[], None]] | None = None) -> Any:
    """Have a run end, whatever is done when so many events were heard; how it ended, and how many there were."""
    told = list[str]()
    with subprocess.Popen(
        ["node", "client.mjs", "persist", thread, *urls], cwd=client, stdout=PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line)
            if meanwhile and (do := meanwhile.get(len(told))):
                do()
    assert process.returncode == 0
    return json.loads(told[-1]), len(told) - 1


def test_the_official_client_ends_with_the_same_whenever_the_server_that_runs_its_agent_is_killed(
    client: Path, replicas: Callable[[], AguiReplica]
) -> None:
    seed = random.randrange(1 << 32)
    moments, one, other = random.Random(seed), replicas(), replicas()
    whole, heard = persist(client, "whole", one.url, other.url)
    for number in range(KILLS):
        at = moments.randrange(1, heard - 1)
        end, _ = persist(client, f"killed-{number}", one.url, other.url, meanwhile={at: one.restart})
        assert (end["messages"], end["state"]) == (whole["messages"], whole["state"]), (seed, at)


def test_the_official_client_goes_on_at_a_second_replica_when_the_first_is_gone(
    client: Path, replicas: Callable[[], AguiReplica]
) -> None:
    one, other = replicas(), replicas()
    whole, heard = persist(client, "whole", one.url)
    end, _ = persist(client, "gone", one.url, other.url, meanwhile={heard // 2: one.kill})
    assert end["times"] > 1
    assert (end["messages"], end["state"]) == (whole["messages"], whole["state"])
