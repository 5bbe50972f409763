"""What the dashboards show before anything has happened: numbers that are 0, and words where there is no number."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import ValkeyliteServer
from support.exporting import ExporterProcess
from support.panels import RULES, Query, queries
from support.prometheus import Prometheus
from support.waiting import wait_until

pytestmark = [pytest.mark.dashboards, pytest.mark.timeout(120)]

WORDS = ("Writers", "Readers", "Forwarder", "Search index")
"""Rows that are about processes of the user's own: nobody knows of those that do not exist."""
WITHOUT_A_NUMBER = {
    "conversations: Model calls per invocation A",
    "log-health: Newest event counted A",
    "log-health: Memory used of what it may A",
    "log-health: Appends that failed A",
}
"""Ratios of what was not, and the age of what did not happen: `noValue` has words for it."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    directory = tmp_path_factory.mktemp("fresh")
    with (
        ValkeyliteServer() as server,
        ExporterProcess(server.url, "strands", directory) as exporter,
        Prometheus(directory, {"session-log": [exporter.address]}, RULES) as prometheus,
    ):
        exporter.wait_until_ready()
        asked = "group by (group) (strands_session_log_group_lag_events) and on () strands_session_log_up == 1"
        wait_until(lambda: prometheus.query(asked), "the exporter to be scraped", 60)
        yield prometheus


def expected(query: Query) -> bool:
    return query.row not in WORDS and query.name not in WITHOUT_A_NUMBER and query.unit not in ("s", "percentunit")


@pytest.mark.parametrize("query", [one for one in queries() if expected(one)], ids=lambda query: query.name)
def test_on_a_fresh_install_a_panel_that_counts_shows_that_there_was_nothing(
    prometheus: Prometheus, query: Query
) -> None:
    wait_until(lambda: prometheus.query(query.expression), f"data of {query.expression}", 30, interval=0.5)
    if query.name.startswith("conversations"):
        assert {sample["value"][1] for sample in prometheus.query(query.expression)} == {"0"}
    assert bool(prometheus.query_range(query.expression)) or not query.over_time


def test_on_a_fresh_install_no_query_and_no_rule_fails_and_nothing_raises_an_alarm(prometheus: Prometheus) -> None:
    for query in queries():
        prometheus.query(query.expression)
    wait_until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), "all rules", 60, interval=0.5)
    raised = {sample["metric"]["alertname"] for sample in prometheus.query("ALERTS")}
    assert raised <= {"SessionLogNoPersistence", "SessionLogMayBeEvicted"}, "of the server's own settings only"
