"""Fixtures: a viewer in a process of its own, conversations to look at, and a browser that looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from strands_session_log import SessionLog

from . import conversations
from .terminal import environment_of
from .viewing import ViewerProcess


@pytest.fixture(scope="session")
def seen_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a server of these tests alone."""
    return f"embedded://{tmp_path_factory.mktemp('conversations')}/data"


@pytest.fixture(scope="session")
def seen_log(seen_url: str) -> Iterator[SessionLog]:
    """A log with the conversations of `support.conversations`; tests that write take sessions of their own."""
    with SessionLog.connect(seen_url) as log:
        conversations.write(log)
        yield log


@pytest.fixture(scope="session")
def viewer(seen_log: SessionLog, seen_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewerProcess]:
    """`session-log view` on that log."""
    environment = environment_of(seen_url, seen_log.namespace)
    with ViewerProcess(environment, tmp_path_factory.mktemp("viewer")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium."""
    from .browsing import chromium

    with chromium() as found:
        yield found


@pytest.fixture
def visit(viewer: ViewerProcess, browser: Any) -> Iterator[Callable[..., Any]]:
    """Sends somebody with a browser of their own to the viewer: `visit(size=NARROW, color_scheme="dark")`.

    What the browser complains of, and what it asks of others than the viewer, fails the test.
    """
    from .browsing import WIDE, Visitor

    visitors = list[Visitor]()
    with ExitStack() as stack:

        def send(address: str = viewer.address, size: tuple[int, int] = WIDE, **options: Any) -> Visitor:
            context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
            stack.callback(context.close)
            context.set_default_timeout(20_000)
            visitors.append(Visitor(context.new_page(), address))
            # With the token of the address; from here on the cookie does.
            visitors[-1].page.goto(address)
            return visitors[-1]

        yield send
        for one in visitors:
            assert one.complaints == []
            assert one.outside == set()
