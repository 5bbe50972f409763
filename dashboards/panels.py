"""What the dashboards are made of: queries, panels, rows, and how they are laid out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from queries import PREFIX

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_SCHEMA_VERSION = 39
_COLUMNS = 24
_LETTERS = "ABCDEFGH"
_NOTHING = "none yet"


class Panel(NamedTuple):
    """A panel.

    Attributes:
        title: What it shows.
        queries: What it asks, in PromQL, by what its series are called; `$__rate_interval`, `$__range` and the
            variables of the dashboard are Grafana's.
        unit: Grafana's id of the unit.
        kind: `timeseries`, `stat` or `bargauge`.
        about: What to read from it.
        width: In columns, of which there are 24.
        limits: Where the colour turns, beginning with green.
        words: What values mean, where numbers do not say it.
        stacked: Whether series add up.
        counts: Whether it counts what an exporter sees: nothing of it is 0 then, and no lack of data.
    """

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    about: str = ""
    width: int = 8
    limits: Sequence[tuple[float, str]] = ()
    words: dict[int, tuple[str, str]] = {}  # noqa: RUF012 - never changed
    stacked: bool = False
    counts: bool = False


class Row(NamedTuple):
    """Panels under one heading.

    Attributes:
        title: The heading.
        panels: What stands under it.
    """

    title: str
    panels: Sequence[Panel]


class Variable(NamedTuple):
    """Something to choose at the top of a dashboard.

    Attributes:
        name: How queries call it.
        query: Where its values come from.
    """

    name: str
    query: str


class Annotation(NamedTuple):
    """Something that happened, as a line through all panels.

    Attributes:
        name: What happened.
        query: When, in PromQL; a tag of Grafana's own annotations if it is one word.
        text: What to say of it; labels stand in braces.
        color: Its colour.
        at_value: Whether the value is when, in milliseconds, and not the time at which there is one.
    """

    name: str
    query: str
    text: str = ""
    color: str = "blue"
    at_value: bool = False


def dashboard(
    uid: str,
    title: str,
    about: str,
    variables: Sequence[Variable],
    rows: Sequence[Row],
    annotations: Sequence[Annotation],
) -> dict[str, Any]:
    """A dashboard, as Grafana stores it."""
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["strands-session-log"],
        "schemaVersion": _SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), *map(_variable, variables)]},
        "annotations": {"list": [*map(_annotation, annotations)]},
        "links": [_link()],
        "panels": list(_laid_out(rows)),
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "label": variable.name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _annotation(annotation: Annotation) -> dict[str, Any]:
    shown = {"name": annotation.name, "enable": True, "hide": False, "iconColor": annotation.color}
    if annotation.query.isalpha():
        tagged = {"refId": "A", "type": "tags", "tags": [annotation.query], "matchAny": True, "limit": 100}
        return {**shown, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "target": tagged}
    return {
        **shown,
        "datasource": SOURCE,
        "target": {"refId": "A", "expr": annotation.query},
        "titleFormat": annotation.name,
        "textFormat": annotation.text,
        "useValueForTime": annotation.at_value,
    }


def _link() -> dict[str, Any]:
    return {
        "title": "Session log",
        "type": "dashboards",
        "tags": ["strands-session-log"],
        "asDropdown": False,
        "icon": "external link",
        "includeVars": False,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }


def _laid_out(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": _at(0, top, _COLUMNS, 1),
        }
        top, left = top + 1, 0
        height = max(5 if panel.kind == "stat" else 8 for panel in row.panels)
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                top, left = top + height, 0
            number += 1
            yield _panel(panel, number, _at(left, top, panel.width, height))
            left += panel.width
        top += height


def _at(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [
            _target(panel, *query, letter) for query, letter in zip(panel.queries.items(), _LETTERS, strict=False)
        ],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
    }


def _target(panel: Panel, legend: str, expr: str, letter: str) -> dict[str, Any]:
    now = panel.kind != "timeseries"
    expr = f"{expr} or on () {_zero(legend)}" if panel.counts else expr
    return {
        "refId": letter,
        "datasource": SOURCE,
        "expr": expr,
        "legendFormat": legend or "__auto",
        "instant": now,
        "range": not now,
        "format": "time_series",
    }


def _zero(legend: str) -> str:
    """0 where nothing of it has happened, as long as an exporter is there to say so."""
    zero = f"(max({PREFIX}_up) == 1) * 0"
    label = re.search(r"\{\{(\w+)\}\}", legend)
    return f'label_replace({zero}, "{label[1]}", "{_NOTHING}", "", "")' if label else zero


def _field(panel: Panel) -> dict[str, Any]:
    steps = [{"value": None, "color": "green"}, *({"value": value, "color": color} for value, color in panel.limits)]
    thresholds = {"mode": "absolute", "steps": steps}
    # On a fresh install nothing has happened yet, which is no fault.
    field: dict[str, Any] = {"unit": panel.unit, "thresholds": thresholds, "noValue": _NOTHING}
    if panel.words:
        shown = {str(value): {"text": text, "color": color} for value, (text, color) in panel.words.items()}
        field["mappings"] = [{"type": "value", "options": shown}]
    if panel.kind == "timeseries":
        field |= {"min": 0, "custom": _lines(panel)}
    if panel.kind == "stat":
        field["color"] = {"mode": "thresholds"}
    return field


def _lines(panel: Panel) -> dict[str, Any]:
    stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 25 if panel.stacked else 8,
        "showPoints": "never",
        "stacking": stacking,
    }


_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {
        "reduceOptions": _REDUCED,
        "orientation": "auto",
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    },
    "bargauge": {
        "reduceOptions": _REDUCED,
        "orientation": "horizontal",
        "displayMode": "basic",
        "legend": {**_LEGEND, "showLegend": False},
        "maxVizHeight": 300,
        "minVizHeight": 16,
        "minVizWidth": 8,
        "namePlacement": "auto",
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "color",
    },
}
