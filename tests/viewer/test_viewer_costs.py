"""The list tells what sessions have cost, where the viewer is given prices."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from strands_session_log import ModelPrice, Prices, SessionLog, events
from strands_session_log_consumers.viewer import ViewerSettings, app
from support.command_line import Run

PRICES = Prices([ModelPrice("m-1", input=2000)])


def ask(log: SessionLog, tokens: int) -> None:
    log.append("s", events.ModelCompleted({"model_id": "m-1", "usage": {"inputTokens": tokens}}, "default"))


def test_the_list_tells_what_each_session_has_cost_and_what_comes_is_added(log: SessionLog) -> None:
    viewer = TestClient(app(log, settings=ViewerSettings(prices=PRICES)), "http://localhost")
    ask(log, 1500)
    log.append("t", events.ModelCompleted({"model_id": "m-2", "usage": {"inputTokens": 5}}, "default"))
    assert '<td class="number">$3.00</td>' in viewer.get("/").text
    assert '<td class="number">-</td>' in viewer.get("/").text
    ask(log, 1000)
    log.append("s", events.ModelCompleted({"model_id": "m-2", "usage": {"inputTokens": 5}}, "default"))
    assert '<td class="number">$5.00+</td>' in viewer.get("/").text


def test_a_session_that_is_begun_anew_has_not_cost_what_the_one_before_did(log: SessionLog) -> None:
    viewer = TestClient(app(log, settings=ViewerSettings(prices=PRICES)), "http://localhost")
    ask(log, 1500)
    assert "$3.00" in viewer.get("/").text
    log.delete("s", reason="gone")
    ask(log, 500)
    ask(log, 500)
    assert "$2.00" in viewer.get("/").text


def test_without_prices_there_are_no_costs_and_a_table_that_is_none_is_told(
    log: SessionLog, run: Run, tmp_path: Path
) -> None:
    ask(log, 1500)
    assert "Cost" not in TestClient(app(log), "http://localhost").get("/").text
    assert "cannot be read" in run("view", "--prices", str(tmp_path / "none.yaml"), exit_code=2).stderr
