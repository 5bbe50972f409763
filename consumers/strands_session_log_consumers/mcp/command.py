"""`session-log mcp`."""

from __future__ import annotations

import logging
import secrets
import socket
from ipaddress import ip_address
from typing import Annotated, Final

import typer

from strands_session_log.cli.api import Code, NamespaceOption, UrlOption, fail, opened

from .settings import McpSettings

EPILOG = (
    "Examples:\n\nclaude mcp add sessions -- session-log mcp --url valkey://localhost:6379\n\n"
    "session-log mcp --http --port 8766"
)
TOKEN_VARIABLE: Final = "SESSION_LOG_MCP_TOKEN"
_LEAST_TOKEN: Final = 16
_DEFAULT: Final = McpSettings()


def command(
    ctx: typer.Context,
    http: Annotated[bool, typer.Option("--http", help="Serve HTTP instead of stdin and stdout.")] = False,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="Port to listen on; 0 for any.")] = 8766,
    host_name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name clients know it by, besides those of this machine; repeatable."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="TEXT", envvar=TOKEN_VARIABLE, help="What clients show.", show_default="made up"),
    ] = None,
    no_token: Annotated[bool, typer.Option("--no-token", help="Ask for no token, on this machine.")] = False,
    allow_write: Annotated[bool, typer.Option("--allow-write", help="Offer fork and rewind, too.")] = False,
    max_characters: Annotated[
        int, typer.Option(min=1_000, max=10_000_000, metavar="N", help="How long an answer may be.")
    ] = _DEFAULT.max_characters,
    max_events: Annotated[
        int, typer.Option(min=1, max=10**9, metavar="N", help="How many events a call looks at.")
    ] = _DEFAULT.max_events,
    index: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            envvar="SESSION_LOG_SEARCH_INDEX",
            help="A search index, as `session-log index` keeps it, for `search` to look into.",
            show_default=False,
        ),
    ] = None,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Let coding agents look at sessions, by the Model Context Protocol.

    A client starts it and speaks with it over stdin and stdout; with --http it serves whoever shows the token. It
    offers to read, and nothing else, unless --allow-write is given.
    """
    from . import server

    # Stdout is the protocol's.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    settings = McpSettings(
        allow_write=allow_write, max_characters=max_characters, max_events=max_events, search_index=index or None
    )
    if not http:
        with opened(ctx, url, namespace) as log:
            server(log, settings).run("stdio")
        return
    token = _token(host, token, no_token)
    with opened(ctx, url, namespace) as log:
        made = server(log, settings)
        from .serving import PATH, http_app, serve

        with _listening(host, port) as listener:
            shown = f"[{host}]" if ":" in host else host
            typer.echo(f"Serving http://{shown}:{listener.getsockname()[1]}{PATH}", err=True)
            if token:
                typer.echo(f"Authorization: Bearer {token}", err=True)
            serve(http_app(made, token, [*(host_name or ()), shown]), listener)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        fail(Code.USAGE, f"cannot listen on {host} port {port}: {error.strerror or error}; --port 0 takes any")


def _token(host: str, token: str | None, no_token: bool) -> str | None:
    """What is asked for: something unless it was said otherwise, and something long where others can try."""
    if token and no_token:
        fail(Code.USAGE, "--token does not go with --no-token, which asks for none")
    if not _is_loopback(host) and (no_token or len(token or "") < _LEAST_TOKEN):
        fail(Code.USAGE, f"{host} is no address of this machine alone: give --token of {_LEAST_TOKEN} characters")
    return None if no_token else token or secrets.token_urlsafe(24)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
