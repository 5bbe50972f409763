"""What the panels of the dashboards ask, with what Grafana would put in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
BOARDS = sorted((DASHBOARDS / "grafana").glob("*.json"))
RULES = sorted((DASHBOARDS / "prometheus" / "rules").glob("*.yml"))
_GRAFANA = {"$__rate_interval": "15s", "$__range": "1m", "$agent": ".*", "$group": ".*"}


class Query(NamedTuple):
    """What a panel asks, and what it is called.

    Attributes:
        name: Dashboard, panel, and letter.
        expression: In PromQL.
        over_time: Whether it draws a line.
        row: The heading the panel stands under.
        unit: Grafana's id of the unit.
    """

    name: str
    expression: str
    over_time: bool
    row: str
    unit: str


def queries() -> Iterator[Query]:
    """What the panels ask."""
    for path in BOARDS:
        row = ""
        for panel in _board(path)["panels"]:
            row = panel["title"] if panel["type"] == "row" else row
            for target in panel.get("targets", ()):
                name = f"{path.stem}: {panel['title']} {target['refId']}"
                unit = panel["fieldConfig"]["defaults"]["unit"]
                yield Query(name, _filled(target["expr"]), target["range"], row, unit)


def happenings() -> Iterator[Query]:
    """When something happened, that Prometheus knows of."""
    for path in BOARDS:
        for one in _board(path)["annotations"]["list"]:
            if "expr" in one["target"]:
                yield Query(f"{path.stem}: {one['name']}", _filled(one["target"]["expr"]), True, "", "")


def variables() -> Iterator[str]:
    """The metric and the label of every choice at the top of a dashboard."""
    for path in BOARDS:
        for variable in _board(path)["templating"]["list"]:
            if variable["type"] == "query":
                yield variable["query"]["query"].removeprefix("label_values(").removesuffix(")")


def _board(path: Path) -> Any:
    return json.loads(path.read_text())


def _filled(expression: str) -> str:
    for name, value in _GRAFANA.items():
        expression = expression.replace(name, value)
    return expression
