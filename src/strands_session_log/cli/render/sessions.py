"""Sessions as lists show them: what their agents do, what was spent, what was said last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from ... import AgentActivity, SessionInfo
from ..terminal import Cell, age, local, narrowed, one_line, plain, put_table
from .messages import absence, compact, on_one_line, speaker

if TYPE_CHECKING:
    from ... import SessionCost

_HEADINGS = ("SESSION", "STATUS", "AGENTS", "MESSAGES", "TOKENS", "ERRORS", "LAST EVENT", "ACTIVE", "LAST MESSAGE")
_SPARED = ["LAST EVENT", "TOKENS", "AGENTS", "MESSAGES", "ERRORS", "ACTIVE", "LAST MESSAGE"]
_COST_AT = _HEADINGS.index("TOKENS") + 1
_RIGHT = ("MESSAGES", "TOKENS", "COST", "ERRORS")
_STYLES = {"SESSION": "cyan", "LAST EVENT": "dim", "ACTIVE": "dim", "LAST MESSAGE": "dim"}
_STATUS_STYLES = {"failed": "red", "answer": "yellow", "silent": "yellow", "tool": "green", "running": "green"}
_WIDEST_ID, _WIDEST_AGENTS, _LONG_MESSAGE, _LEAST_MESSAGE = 40, 24, 200, 24
_DAY = timedelta(days=1)


def print_sessions(
    terminal: Console, page: Sequence[SessionInfo], costs: Mapping[str, SessionCost | None] | None = None
) -> None:
    """Print a table; on a narrow terminal without what can be spared.

    Args:
        terminal: Where.
        page: The sessions.
        costs: What each has cost, where that was asked for; None of one that cannot be read.
    """
    table = [list(row) for row in (_HEADINGS, *map(_cells, page))]
    if costs is not None:
        for row, cell in zip(table, ["COST", *(_cost(costs[info.session_id]) for info in page)], strict=True):
            row.insert(_COST_AT, cell)
    rows = narrowed(terminal, table, _SPARED, _LEAST_MESSAGE)
    names = [str(name) for name in rows[0]]
    styles = [_STYLES.get(name, "") for name in names]
    right = [number for number, name in enumerate(names) if name in _RIGHT]
    put_table(terminal, rows, styles, right, _WIDEST_ID, crop=names[-1] == "LAST MESSAGE")


def shown_text(info: SessionInfo) -> str:
    """All of a session that a list shows, to look for something in it."""
    agents = " ".join(one.agent for one in info.agents)
    return "\n".join((info.session_id, str(status_text(info)), agents, labels_text(info.labels), last_message(info)))


def status_text(info: SessionInfo) -> Text:
    """What the session stands at: of the agent that says most."""
    if info.status == "unknown":
        return Text("not summed up", "dim")
    one = info.activity
    if one is None or one.status == "idle":
        return Text("idle", "dim")
    name = f"{one_line(one.agent)}: " if len(info.agents) > 1 else ""
    told = activity_text(one)
    return Text(f"{name}{told}", told.style)


def activity_text(one: AgentActivity) -> Text:
    """What an agent does, and since when."""
    since = f" since {_moment(one.since.time)}" if one.since else ""
    of = f" {one_line(one.name)}" if one.name else ""
    if one.is_silent and one.last_sign:
        during = f", in{of}" if one.status == "tool" and of else ""
        return Text(f"silent since {_moment(one.last_sign)}{during}", _STATUS_STYLES["silent"])
    words = {
        "answer": f"waits for an answer{since}",
        "failed": f"failed at {one.since.revision if one.since else 0}, {_moment(one.since.time) if one.since else ''}",
        "tool": f"waits for{of or ' a tool'}{since}",
        "running": f"running{since}",
        "idle": "idle",
    }
    return Text(words[one.status], _STATUS_STYLES.get(one.status, "dim"))


def labels_text(labels: Mapping[str, Any]) -> str:
    """Labels as they are asked for."""
    return " ".join(
        f"{one_line(name)}={one_line(value) if isinstance(value, str) else compact(value)}"
        for name, value in labels.items()
    )


def last_message(info: SessionInfo) -> str:
    """What was said last, on one line."""
    if info.last_message is None:
        return ""
    event = info.last_message.event
    if not event.has_content:
        return f"{one_line(event.data.get('role') or 'unknown')}: {absence(event)}"
    message = event.data.get("redact_message") or event.data.get("message")
    return f"{speaker(message)}: {on_one_line(message, _LONG_MESSAGE)}"


def _cells(info: SessionInfo) -> tuple[Cell, ...]:
    agents = one_line(", ".join(one.agent for one in info.agents), _WIDEST_AGENTS)
    counts = (f"{info.messages:,}", _known(info.tokens), _known(info.errors))
    times = local(info.last_event_at), age(info.last_event_at)
    labels = labels_text(info.labels)
    marks = " ".join(filter(None, ("held" if info.held else "", labels)))
    said = " ".join(filter(None, (f"[{marks}]" if marks else "", last_message(info))))
    return plain(info.session_id), status_text(info), agents, *counts, *times, said


def _cost(cost: SessionCost | None) -> str:
    """In dollars; `+` where not all is known of what there was to pay."""
    if cost is None or not (cost.dollars or cost.is_whole):
        return "-"
    return f"${cost.dollars:,.{2 if cost.dollars >= 1 else 4}f}{'' if cost.is_whole else '+'}"


def _known(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _moment(moment: datetime) -> str:
    """When, on this machine's clock: the day only where it is long ago."""
    is_recent = datetime.now(timezone.utc) - moment < _DAY
    return moment.astimezone().strftime("%H:%M") if is_recent else local(moment)
