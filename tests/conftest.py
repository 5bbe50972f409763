"""Fixtures for every suite; `support/README.md` tells which to take."""

from __future__ import annotations

import contextlib
import gc
import logging
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import hypothesis
import pytest

from strands_session_log import SessionLog
from support import Cluster, FaultProxy, Keyspace, ServerUnavailable, programs
from support.chosen import DEFAULT, HELP, Chosen, chosen_server, fresh_server
from support.clients import Client, open_client
from support.collecting import import_share
from support.command_line import Run, runner, write_session
from support.junk import TURN
from support.leftovers import Leftovers
from support.processes import HOST
from support.servers import Server
from support.terminal import Terminal, environment_of

pytest_plugins = ["support.seeing", "support.both_verifiers"]

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server", default=DEFAULT, metavar="SERVER", help=HELP)


def pytest_report_header(config: pytest.Config) -> str:
    return f"server: {config.getoption('--server')}, SESSION_LOG_TEST_TURN={TURN}"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Find out whether the server can be had, before workers of pytest-xdist find it out, who cannot end the run."""
    if not session.config.getoption("numprocesses", None):
        return
    choice = session.config.getoption("--server")
    if choice != DEFAULT:
        with _server_or_exit(choice):
            pass
    sharing = contextlib.ExitStack()
    sharing.enter_context(programs.shared_server())
    session.config.add_cleanup(sharing.close)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Tests and what they import stay to the end: whoever looks for garbage need not look there, again and again."""
    gc.disable()
    import_share(session.config)
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@contextlib.contextmanager
def _server_or_exit(choice: str) -> Iterator[Chosen]:
    try:
        with chosen_server(choice) as chosen:
            yield chosen
    except ServerUnavailable as exc:
        # Whoever names a server means it: skipping would look like success.
        pytest.exit(f"--server={choice}: {exc}", returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(scope="session", autouse=True)
def leftovers() -> Iterator[Leftovers]:
    """Fails the run, after the last test, if tests left threads or processes behind."""
    leftovers = Leftovers()
    yield leftovers
    programs.stop_server()
    leftovers.check()


@pytest.fixture(autouse=True)
def _nothing_stays(request: pytest.FixtureRequest, leftovers: Leftovers) -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, [*root.handlers]
    with leftovers.of(request.node.nodeid):
        yield
    # Commands, and servers of others, set up logging for a process that is theirs.
    root.setLevel(level)
    for handler in set(root.handlers) - {*handlers}:
        root.removeHandler(handler)


@pytest.fixture(scope="session", autouse=True)
def _no_feed_is_trimmed_by_chance() -> Iterator[None]:
    """One append in a thousand trims: a test that counts what is sent would fail as often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("strands_session_log.event_log.log._TRIM_EVERY", math.inf)
        yield


@pytest.fixture(scope="session")
def chosen(pytestconfig: pytest.Config) -> Iterator[Chosen]:
    """The server of `--server`, started with the first test that needs it; each worker of pytest-xdist has its own."""
    with _server_or_exit(pytestconfig.getoption("--server")) as chosen:
        yield chosen


@pytest.fixture(scope="session")
def server_url(chosen: Chosen) -> str:
    """The URL of the chosen server; all tests share it, so keep to your `namespace`."""
    return chosen.url


@pytest.fixture(scope="session")
def session_log_url(server_url: str) -> str:
    """Leads the library's own pytest fixtures to the chosen server."""
    return server_url


@pytest.fixture
def make_client(server_url: str) -> Iterator[Callable[..., Client]]:
    """Makes sync clients of the chosen server: `make_client(decode_responses=True)`."""
    with contextlib.ExitStack() as stack:

        def make(**options: object) -> Client:
            client = open_client(server_url, **options)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    """A sync client of the chosen server."""
    return make_client()


@pytest.fixture(scope="session")
def keyspace(chosen: Chosen) -> Iterator[Keyspace]:
    """The keys of the chosen server, of which none stays."""
    client = open_client(chosen.url)
    keyspace = Keyspace(client)
    yield keyspace
    left = keyspace.keys() if chosen.is_ours else set()
    client.close()
    assert not left, f"left behind: {sorted(left)}"


@pytest.fixture
def new_namespace(chosen: Chosen, keyspace: Keyspace) -> Iterator[Callable[[], str]]:
    """Makes namespaces; at the end their keys are deleted, and keys outside them are an error."""
    before = keyspace.keys() if chosen.is_ours else set()
    namespaces: list[str] = []

    def make() -> str:
        namespaces.append(f"t-{uuid.uuid4().hex[:8]}")
        return namespaces[-1]

    yield make
    for namespace in namespaces:
        keyspace.delete(keyspace.under(namespace))
    # Somebody else may be writing to a server that is not ours.
    leaked = keyspace.keys() - before if chosen.is_ours else set()
    keyspace.delete(leaked)
    assert not leaked, f"keys outside {namespaces}: {sorted(leaked)}"


@pytest.fixture
def namespace(new_namespace: Callable[[], str]) -> str:
    """A namespace of this test alone."""
    return new_namespace()


@pytest.fixture(scope="session")
def _shared_cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(_shared_cluster: Cluster) -> Iterator[Cluster]:
    """Three empty primaries, which no test may stop: starting them takes seconds."""
    yield _shared_cluster
    _shared_cluster.empty()


@pytest.fixture
def tcp_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """A server of this test alone, to restart, kill or pause; of the chosen kind, if that can be started singly."""
    with fresh_server(pytestconfig.getoption("--server")) as server:
        yield server


@pytest.fixture
def proxy(tcp_server: Server) -> Iterator[FaultProxy]:
    """A faulty network in front of `tcp_server`."""
    with FaultProxy(HOST, tcp_server.port) as proxy:
        yield proxy


@pytest.fixture
def log(server_url: str, namespace: str) -> Iterator[SessionLog]:
    """A log of this test alone, which the command line finds, too."""
    with SessionLog.connect(server_url, namespace) as log:
        yield log


@pytest.fixture
def run(server_url: str, namespace: str) -> Run:
    """`session-log` on that log."""
    return runner(server_url, namespace)


@pytest.fixture
def talk(log: SessionLog) -> SessionLog:
    """A log with one session `s-42` of six events."""
    write_session(log)
    return log


@pytest.fixture
def appended(session_log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The event types of every append, in order; an answer waits for what comes next however slow the machine is."""
    monkeypatch.setattr("strands_session_log.lifecycle.outbox.begin_later", lambda call: None)
    calls: list[list[str]] = []
    append = session_log._events.append

    def spy(session_id: str, batch: Any, *arguments: Any) -> Any:
        calls.append([getattr(one, "event", one).type for one in batch])
        return append(session_id, batch, *arguments)

    monkeypatch.setattr(session_log._events, "append", spy)
    return calls


@pytest.fixture
def environment(server_url: str, namespace: str) -> Mapping[str, str]:
    """Of programs that are to find the log, and nothing about the terminal of whoever runs the tests."""
    return environment_of(server_url, namespace)


@pytest.fixture
def terminal(environment: Mapping[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals with `session-log` in them: `terminal("show", "s-42", width=160, NO_COLOR="1")`."""
    with contextlib.ExitStack() as stack:

        def open_terminal(*arguments: str, width: int = 80, height: int = 24, **more: str) -> Terminal:
            opened = Terminal({**environment, **more}, *arguments, width=width, height=height)
            stack.callback(opened.close)
            return opened

        yield open_terminal
