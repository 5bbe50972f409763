"""`session-log view`."""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import socket
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from threading import Thread
from typing import Annotated, Any, Final, TextIO
from urllib.parse import quote, urlsplit

import typer

from strands_session_log import Prices, SessionLog
from strands_session_log.cli.api import Code, NamespaceOption, UrlOption, fail, opened
from strands_session_log.errors import InvalidSettingError, MissingExtraError

from .addresses import session_path
from .settings import ViewerSettings

EPILOG = (
    "Examples:\n\nsession-log view\n\nsession-log view s-42 --at 1204\n\n"
    'session-log view --host 0.0.0.0 --host-name agents.example.com --token "$(cat token)"'
)
TOKEN_VARIABLE: Final = "SESSION_LOG_VIEWER_TOKEN"
INDEX_VARIABLE: Final = "SESSION_LOG_SEARCH_INDEX"
PRICES_VARIABLE: Final = "SESSION_LOG_PRICES"
SECRET_VARIABLE: Final = "SESSION_LOG_ANSWER_SECRET"
_EXTRA: Final = frozenset(
    ("anyio", "h11", "jinja2", "markdown_it", "markupsafe", "nh3", "pygments", "sse_starlette", "starlette", "uvicorn")
)
"""What the extra brings, with what that brings."""
_LEAST_TOKEN: Final = 16
_EVERYWHERE: Final = frozenset(("0.0.0.0", "::", ""))
_GRAPHICAL: Final = ("DISPLAY", "WAYLAND_DISPLAY")

HostNameOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A name browsers know it by, besides those of this machine; repeatable."),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        envvar=TOKEN_VARIABLE,
        help="What a browser shows once, in the address that is printed.",
        show_default="made up",
    ),
]
ProxyOption = Annotated[
    bool,
    typer.Option(
        "--trust-proxy", help="A proxy asks who people are: no token, any host name, and its X-Forwarded headers."
    ),
]
SecretOption = Annotated[
    str, typer.Option(metavar="TEXT", envvar=SECRET_VARIABLE, help="Signs these answers.", show_default=False)
]
AnswersOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=CHOICES",
        help="What people may answer to interrupts of this name: 'refund=approve:true,refuse:false'; repeatable.",
    ),
]
AccessLogOption = Annotated[
    str, typer.Option(metavar="FILE", help="Note who looked at which session when; - for stderr.", show_default=False)
]
UserHeaderOption = Annotated[
    str, typer.Option(metavar="NAME", help="The header in which the proxy says who asks, for the access log.")
]


def command(
    ctx: typer.Context,
    session: Annotated[str | None, typer.Argument(metavar="[SESSION]", help="Open this session.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="POINT", help="Open it as it was at this point.", show_default=False)
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="Port to listen on; 0 for any.")] = 8765,
    host_name: HostNameOption = None,
    prefix: Annotated[
        str, typer.Option(metavar="PATH", help="What stands before its addresses, behind a proxy.", show_default=False)
    ] = "",
    token: TokenOption = None,
    no_token: Annotated[bool, typer.Option("--no-token", help="Ask for no token, on this machine.")] = False,
    trust_proxy: ProxyOption = False,
    allow_write: Annotated[bool, typer.Option("--allow-write", help="Let people fork, rewind and erase.")] = False,
    answer_url: Annotated[
        str, typer.Option(metavar="URL", help="Where people's answers are sent, as JSON.", show_default=False)
    ] = "",
    answer_secret: SecretOption = "",
    answers: AnswersOption = None,
    access_log: AccessLogOption = "",
    user_header: UserHeaderOption = "X-Forwarded-User",
    index: Annotated[
        str,
        typer.Option(
            metavar="FILE|URL",
            envvar=INDEX_VARIABLE,
            help="A search index, as `session-log index` keeps it.",
            show_default=False,
        ),
    ] = "",
    prices: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            envvar=PRICES_VARIABLE,
            help="A table of prices: the list tells what each session cost, an estimate.",
            show_default=False,
        ),
    ] = "",
    mask: Annotated[
        bool, typer.Option("--mask/--no-mask", help="Hide what looks like a key or a password until it is clicked.")
    ] = True,
    browser: Annotated[bool, typer.Option(help="Open a browser, where there is one.")] = True,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """See conversations in a browser, move through their time, watch them live.

    It prints its address, and ends at SIGTERM or Ctrl-C. Whoever may ask for it sees all that was said: it listens on
    this machine only, unless --host says otherwise.
    """
    # A service has a log, where commands for people have one line.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    token = _token(host, token, no_token, trust_proxy)
    _check_address(answer_url)
    hosts = ("*",) if trust_proxy else (*(host_name or ()), *([] if host in _EVERYWHERE else [host]))
    with opened(ctx, url, namespace) as log, _written_to(access_log) as access:
        settings = ViewerSettings(
            token=token,
            hosts=hosts,
            allow_write=allow_write,
            answer_url=answer_url,
            answer_secret=answer_secret,
            answers=dict(map(_choices, answers or ())),
            mask=mask,
            access_log=access,
            user_header=user_header if trust_proxy else "",
            search_index=index,
            prices=_prices(prices),
        )
        shown = next(iter(host_name or ()), host)
        first = prefix.rstrip("/") + (session_path(session, at=at) if session else "/")
        arrival = _Arrival(shown, first, token, browser)
        with _listening(host, port) as listener:
            _serve(log, settings, prefix, listener, arrival, "*" if trust_proxy else "")


def _prices(path: str) -> Prices | None:
    try:
        return Prices.load(path) if path else None
    except InvalidSettingError as error:
        fail(Code.USAGE, str(error))


class _Arrival:
    """Where people come in: printed, and opened in a browser."""

    def __init__(self, host: str, path: str, token: str | None, browser: bool) -> None:
        self._host, self._path, self._token, self._browser = host, path, token, browser

    def __call__(self, port: int) -> None:
        host = "127.0.0.1" if self._host in _EVERYWHERE else self._host
        query = f"{'&' if '?' in self._path else '?'}token={quote(self._token, safe='')}" if self._token else ""
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}{self._path}{query}"
        typer.echo(f"Serving {address}", err=True)
        typer.echo("Ctrl-C ends it.", err=True)
        if self._browser and _has_browser():
            # A browser in the foreground ends when it is closed, and until then wants pages.
            Thread(target=webbrowser.open, args=(address,), name="session-log-browser", daemon=True).start()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        fail(Code.USAGE, f"cannot listen on {host} port {port}: {error.strerror or error}; --port 0 takes any")
    with listener:
        yield listener


def _serve(
    log: SessionLog,
    settings: ViewerSettings,
    prefix: str,
    listener: socket.socket,
    arrival: _Arrival,
    trust_proxy: str,
) -> None:
    try:
        from .application import app
        from .serving import server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise MissingExtraError("viewer", "the viewer") from error
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server ends in good order at the first, and raises it once more when it has.
        signal.signal(number, _ended)
    port = listener.getsockname()[1]
    serving = server(app(log, prefix, settings), started=lambda _: arrival(port), trust_proxy=trust_proxy)
    serving.run(sockets=[listener])


def _ended(number: int, frame: object) -> None:
    raise SystemExit(0)


def _token(host: str, token: str | None, no_token: bool, trust_proxy: bool) -> str | None:
    """What is asked for: something unless it was said otherwise, and something long where others can try."""
    if token and (no_token or trust_proxy):
        fail(Code.USAGE, "--token goes with neither --no-token nor --trust-proxy: these ask for none")
    if trust_proxy or (no_token and _is_loopback(host)):
        return None
    if not _is_loopback(host):
        if not token:
            fail(Code.USAGE, f"{host} is no address of this machine alone: give --token, or --trust-proxy behind one")
        if len(token) < _LEAST_TOKEN:
            fail(Code.USAGE, f"a token for others than this machine has at least {_LEAST_TOKEN} characters")
    return token or secrets.token_urlsafe(24)


def _choices(text: str) -> tuple[str, dict[str, Any]]:
    """The name of an interrupt, and by what each answer is called what is sent: JSON, or else the text itself."""
    name, _, given = text.partition("=")
    pairs = [one.partition(":") for one in given.split(",")]
    if not name or not all(label.strip() and colon for label, colon, _ in pairs):
        fail(Code.USAGE, f"--answers takes NAME=CHOICE:VALUE,CHOICE:VALUE, not {text!r}")
    return name, {label.strip(): _value(value.strip()) for label, _, value in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check_address(answer_url: str) -> None:
    parts = urlsplit(answer_url)
    if answer_url and (parts.scheme not in ("http", "https") or not parts.hostname):
        fail(Code.USAGE, f"--answer-url takes an http or https address, not {answer_url!r}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _has_browser() -> bool:
    """Whether a browser can be opened that is no program for this terminal."""
    if "BROWSER" in os.environ or sys.platform == "darwin":
        return True
    return sys.stderr.isatty() and any(os.environ.get(name) for name in _GRAPHICAL)


@contextmanager
def _written_to(name: str) -> Iterator[TextIO | None]:
    """A file that only its owner reads: it tells who looked at what."""
    if name in ("", "-"):
        yield sys.stderr if name else None
        return
    try:
        found = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        fail(Code.USAGE, f"cannot write to {name}: {error.strerror}")
    with os.fdopen(found, "a", encoding="utf-8", buffering=1) as file:
        yield file
