"""`session-log sessions`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ... import SessionInfo
from ...errors import CorruptEntryError, CorruptKeyError, InvalidPointError, InvalidSettingError, LogForkedError
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import command, option, whole
from ..render.sessions import print_sessions, shown_text
from ..terminal import console, note, put, write_json
from ..typed import word

if TYPE_CHECKING:
    from ... import Prices, SessionCost, SessionLog

EPILOG = (
    "Examples:\n\nsession-log sessions --failed --since -8h\n\nsession-log sessions --waiting --label team=billing\n\n"
    "session-log sessions --since -24h --cost\n\nsession-log sessions --json | jq -r .session_id"
)
PRICES_VARIABLE = "SESSION_LOG_PRICES"
_BEFORE = "Go on after a page by its cursor, or with what was active before a time: ISO, or relative (-1d)."

LimitOption = Annotated[int, typer.Option("--limit", parser=whole(1, 1_000_000), metavar="N", help="How many at most.")]
BeforeOption = Annotated[str | None, option("--before", "CURSOR|TIME", _BEFORE)]
SinceOption = Annotated[str | None, option("--since", "TIME", "Only those last active then or later: ISO, or -8h.")]
UntilOption = Annotated[str | None, option("--until", "TIME", "Only those last active then or before.")]
FailedOption = Annotated[bool, typer.Option("--failed", help="Only those with an agent whose last call failed.")]
WaitingOption = Annotated[
    bool, typer.Option("--waiting", help="Only those that wait for a person's answer; with --failed, either.")
]
WithAgentOption = Annotated[str | None, option("--agent", "AGENT", "Only those with this agent, graph or swarm.")]
LabelOption = Annotated[list[str] | None, option("--label", "NAME=VALUE", "Only those with this label; repeatable.")]
GrepOption = Annotated[str | None, option("--grep", "TEXT", "Of these, only those whose line has this text.")]
CostOption = Annotated[
    bool, typer.Option("--cost", help="What the models cost, an estimate; each session listed is read for it.")
]
PricesOption = Annotated[
    str | None, option("--prices", "FILE", f"--cost at these prices; else {PRICES_VARIABLE}, else list prices.")
]
AscendingOption = Annotated[bool, typer.Option("--ascending", help="Those first that were active longest ago.")]


@command
def sessions(
    call: CommandCall,
    limit: LimitOption = 50,
    before: BeforeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    failed: FailedOption = False,
    waiting: WaitingOption = False,
    agent: WithAgentOption = None,
    label: LabelOption = None,
    grep: GrepOption = None,
    ascending: AscendingOption = False,
    cost: CostOption = False,
    prices: PricesOption = None,
) -> None:
    """List the sessions, most recently active first: what their agents do, errors, tokens, what was said last.

    An agent that should be at work and was not heard of for ten minutes is silent: its process may have been killed.
    """
    labels = dict(map(_name_and_value, label or ()))
    table = _prices(prices) if cost or prices else None
    with call.opened() as log:
        try:
            # One more than asked for tells whether there is a next page.
            found = log.sessions(
                limit + 1,
                before,
                since=since,
                until=until,
                failed=failed,
                waiting=waiting,
                agent=agent,
                labels=labels,
                ascending=ascending,
                last_message=True,
            )
        except InvalidPointError as error:
            if error.reason:
                raise
            fail(Code.USAGE, _no_time(error, before=before, since=since, until=until))
        page, more = found[:limit], len(found) > limit
        shown = [info for info in page if grep is None or grep.casefold() in shown_text(info).casefold()]
        costs = None if table is None else _costs(log, table, shown)
    if call.as_json:
        for info in shown:
            write_json({**info.to_json(), **_cost_json(costs, info)})
        return
    if shown:
        print_sessions(console(), shown, costs)
    elif page:
        note(f"none of {len(page):,} sessions has {grep!r} in its line")
    else:
        is_filtered = any((since, until, failed, waiting, agent, labels))
        note("no session is like that" if is_filtered else _none_there(call.where, before))
    if more:
        _print_more(page[-1], ascending)


def _prices(path: str | None) -> Prices:
    from ... import Prices

    try:
        return Prices.load(path or os.environ.get(PRICES_VARIABLE))
    except InvalidSettingError as error:
        fail(Code.USAGE, str(error))


def _costs(log: SessionLog, prices: Prices, page: Sequence[SessionInfo]) -> dict[str, SessionCost | None]:
    """What each has cost; None where that cannot be read, which is no reason not to list it."""
    return {info.session_id: _cost(log, prices, info.session_id) for info in page}


def _cost(log: SessionLog, prices: Prices, session_id: str) -> SessionCost | None:
    try:
        return prices.cost_of(log, session_id)
    except (CorruptEntryError, CorruptKeyError, LogForkedError):
        return None


def _cost_json(costs: Mapping[str, SessionCost | None] | None, info: SessionInfo) -> dict[str, object]:
    if costs is None:
        return {}
    found = costs[info.session_id]
    return {"cost": found and found.to_json()}


def _none_there(where: str, before: str | None) -> str:
    if before is not None:
        return f"no session was last active before {before}"
    return f"there is no session in {where} yet; `session-log demo` shows how one is made"


def _print_more(last: SessionInfo, ascending: bool) -> None:
    put(console(), f"\n{'Later' if ascending else 'Older'} ones: --before {word(last.cursor)}", "dim")


def _name_and_value(label: str) -> tuple[str, str]:
    name, equals, value = label.partition("=")
    if not (name and equals):
        fail(Code.USAGE, f"--label {label!r} must look like name=value")
    return name, value


def _no_time(error: InvalidPointError, **options: str | None) -> str:
    """Which of the options it is."""
    name = next((name for name, value in options.items() if value == error.value), "before")
    what = (
        "neither a time nor a cursor, as --json prints them" if name == "before" else "no time: ISO, or relative (-8h)"
    )
    return f"--{name} {error.value!r} is {what}"
