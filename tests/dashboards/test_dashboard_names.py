"""What dashboards, rules and documentation speak of exists, and what exists is spoken of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import metrics

ROOT = Path(__file__).parents[2]
DASHBOARDS = ROOT / "dashboards"
BOARDS = sorted((DASHBOARDS / "grafana").glob("*.json"))
RULES = sorted((DASHBOARDS / "prometheus" / "rules").glob("*.yml"))
PAGE = (ROOT / "docs" / "metrics.md").read_text()
ALL = [
    *metrics.of_library(),
    *metrics.of_exporter(),
    *metrics.of_witness(),
    *metrics.of_forwarder(),
    *metrics.of_indexer(),
]
NAME = re.compile(r"\b(?:[a-z]+:)?strands_session_log_[a-z0-9_]+(?::[a-z0-9_]+)?")


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    match value:
        case str():
            yield value
        case dict():
            for one in value.values():
                yield from strings(one)
        case list():
            for one in value:
                yield from strings(one)


def rules_of(path: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def recorded() -> set[str]:
    return {rule["record"] for path in RULES for rule in rules_of(path) if "record" in rule}


def known() -> set[str]:
    return recorded().union(*(metric.series for metric in ALL))


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_every_metric_a_dashboard_names_exists(path: Path) -> None:
    named = {name for text in strings(json.loads(path.read_text())) for name in NAME.findall(text)}
    assert len(named) > 10
    assert named <= known()


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_metric_a_rule_names_exists(path: Path) -> None:
    for rule in rules_of(path):
        named = set(NAME.findall(rule["expr"]))
        assert named, rule
        assert named <= known()


def test_dashboards_are_what_their_source_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, DASHBOARDS / "build.py", tmp_path], check=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        path.name: path.read_text() for path in (*BOARDS, DASHBOARDS / "prometheus" / "rules" / "costs.yml")
    }, "run python dashboards/build.py"


def test_no_two_panels_overlap_and_each_has_a_number_of_its_own() -> None:
    for path in BOARDS:
        panels = json.loads(path.read_text())["panels"]
        cells = [
            (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
            for panel in panels
            for x in range(panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["h"])
        ]
        assert len(set(cells)) == len(cells)
        assert max(x for x, _ in cells) < 24
        assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_panel_says_what_to_read_from_it_and_shows_words_where_nothing_has_happened() -> None:
    for path in BOARDS:
        panels = [panel for panel in json.loads(path.read_text())["panels"] if panel["type"] != "row"]
        assert {panel["title"] for panel in panels if not panel["description"].endswith(".")} == set()
        assert {panel["fieldConfig"]["defaults"]["noValue"] for panel in panels} == {"none yet"}


def test_every_recording_rule_is_named_for_what_it_does_and_every_alert_says_what_to_do() -> None:
    for path in RULES:
        for rule in rules_of(path):
            if "alert" in rule:
                assert rule["labels"]["severity"] in ("critical", "warning")
                assert set(rule["annotations"]) == {"summary", "description"}
            else:
                assert ":" in rule["record"]


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    tests = "".join(path.read_text() for path in (DASHBOARDS / "prometheus" / "tests").glob("*.yml"))
    alternatives = [
        name + option
        for name, options in re.findall(r"(SessionLog\w*)\(([\w|]+)\)", tests)
        for option in options.split("|")
    ]
    tested = {*alternatives, *re.findall(r"SessionLog\w+", tests)}
    assert {rule["alert"] for path in RULES for rule in rules_of(path) if "alert" in rule} <= tested


def test_the_page_about_metrics_lists_what_there_is() -> None:
    expected = [metric.row for metric in ALL]
    documented = re.findall(r"^\| `strands_session_log_.*\|$", PAGE, re.MULTILINE)
    assert sorted(documented) == sorted(expected), "\n".join(expected)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_names_follow_the_conventions_of_prometheus(metric: metrics.MetricInfo) -> None:
    name = metric.shown_name
    assert re.fullmatch(r"strands_session_log_[a-z_]+", name)
    assert name.endswith("_total") == (metric.kind == "counter")
    assert metric.kind != "histogram" or name.endswith("_seconds")
    assert not re.search(r"_(ms|milliseconds|kb|mb|count)(_|$)", name)
    assert metric.help.endswith(".")
    assert not {"session", "session_id", "event_id"} & set(metric.labels)


def test_the_composition_mounts_what_there_is() -> None:
    services = yaml.safe_load((DASHBOARDS / "compose.yaml").read_text())["services"]
    mounted = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    paths = {path for path in mounted if path.startswith(".")}
    assert all((DASHBOARDS / path).exists() for path in paths)
    assert {f"./grafana/{path.name}" for path in BOARDS} <= paths


def test_what_is_ours_in_the_composition_can_write_nothing_and_gain_no_rights() -> None:
    services = yaml.safe_load((DASHBOARDS / "compose.yaml").read_text())["services"]
    ours = {name: service for name, service in services.items() if "build" in service}
    assert set(ours) == {"exporter", "viewer"}
    assert all(service["read_only"] is True and service["cap_drop"] == ["ALL"] for service in ours.values())
    assert all(service["security_opt"] == ["no-new-privileges:true"] for service in ours.values())


def test_the_composition_listens_on_this_machine_only() -> None:
    services = yaml.safe_load((DASHBOARDS / "compose.yaml").read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_viewer_of_the_composition_stands_behind_a_token_that_somebody_made_up() -> None:
    viewer = yaml.safe_load((DASHBOARDS / "compose.yaml").read_text())["services"]["viewer"]
    assert viewer["environment"]["SESSION_LOG_VIEWER_TOKEN"].startswith("${SESSION_LOG_VIEWER_TOKEN:?")
    assert not {"--token", "--no-token", "--trust-proxy"} & set(viewer["command"])
