"""Prometheus' and Grafana's own tools on the rules and dashboards; `make test-dashboards` installs them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.dashboards

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
PROMETHEUS = DASHBOARDS / "prometheus"
BOARDS = sorted((DASHBOARDS / "grafana").glob("*.json"))
SCHEMA = Path(__file__).with_name("schema")
CHECK = SCHEMA / "check.ts"


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    assert "SUCCESS" in run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    assert "SUCCESS" in run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *PROMETHEUS.glob("rules/*.yml"))


def test_the_rules_fire_when_they_should_and_not_else() -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", *PROMETHEUS.glob("tests/*.yml"))


def type_check(*boards: str) -> str:
    """Hold dashboards against Grafana's types; returns the errors."""
    imported = "import type { Board } from './board';\n"
    constants = (f"export const board{number}: Board = {board};\n" for number, board in enumerate(boards))
    CHECK.write_text(imported + "".join(constants))
    compiler = SCHEMA / "node_modules" / ".bin" / "tsc"
    return subprocess.run([compiler, "--project", SCHEMA], capture_output=True, text=True, check=False).stdout


def test_the_dashboards_are_what_grafana_takes() -> None:
    assert type_check(*(path.read_text() for path in BOARDS)) == ""


@pytest.mark.parametrize(
    "spoil",
    [
        lambda board: board.replace('"displayMode": "list"', '"displayMode": "lists"', 1),
        lambda board: board.replace('"graphMode"', '"graphModes"', 1),
        lambda board: board.replace('"refId": "A"', '"ref": "A"', 1),
        lambda board: board.replace('"unit": "cps"', '"unit": 5', 1),
    ],
    ids=["an unknown value", "an unknown option", "a query without its name", "a wrong type"],
)
def test_the_types_tell_what_grafana_would_not_take(spoil: Callable[[str], str]) -> None:
    assert "error TS" in type_check(spoil(BOARDS[0].read_text()))
