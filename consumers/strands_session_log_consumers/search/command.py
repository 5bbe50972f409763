"""`session-log search`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from strands_session_log.cli.api import Code, JsonOption, NamespaceOption, UrlOption, fail, opened

from .finding import find, narrowed
from .hits import SearchHit
from .opening import open_index
from .options import IndexOption, path_of, printable
from .query import InvalidQueryError, SearchIndexError

EPILOG = (
    'Examples:\n\nsession-log search "lisbon AND refund" --since -30d\n\n'
    "session-log search '\"light jacket\" OR umbrel*' --agent travel --label status=open\n\n"
    "session-log search refund --json | jq -r .session_id | sort -u"
)


def command(
    ctx: typer.Context,
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help='Words that must all be there; AND, OR, NOT, ( ), "a phrase", begin*.'),
    ],
    index: IndexOption = None,
    session: Annotated[str | None, typer.Option(metavar="SESSION", help="Only in this session.")] = None,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Only in this agent's transcripts.")] = None,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="Only what this role said: user, assistant.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only in sessions with this label; repeatable."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only since: an ISO time, or relative (-30d).")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only until then.")] = None,
    before: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on behind a hit, by the cursor that --json prints.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, metavar="N", help="How many at most.")] = 20,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Search in what was said, newest first, by the index that `session-log index` keeps.

    A hit is printed if it stands in the log: what was erased or deleted is not found, even while no index follows.
    Ends with 1 when nothing is found.
    """
    path = path_of(index)
    with opened(ctx, url, namespace) as log:
        try:
            found = open_index(path, log.namespace)
            within = narrowed(
                log, session_id=session, agent=agent, role=role, labels=label or (), since=since, until=until
            )
            hits = find(log, found, query, within, limit, before)
        except (InvalidQueryError, SearchIndexError) as error:
            fail(Code.USAGE, str(error))
    for hit in hits:
        typer.echo(json.dumps(hit.to_json()) if as_json else _line(hit))
    if not hits:
        if not as_json:
            typer.echo("nothing is found", err=True)
        raise typer.Exit(Code.PROBLEMS)


def _line(hit: SearchHit) -> str:
    at = f"{hit.id.time:%Y-%m-%d %H:%M}"
    where = f"{printable(hit.session_id)} {hit.id.revision}"
    said = "".join(typer.style(printable(part.text), bold=part.is_found) for part in hit.parts)
    return f"{typer.style(where, fg='cyan')}  {at}  {printable(hit.agent)} {printable(hit.role)}: {said}"
