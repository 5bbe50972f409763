"""What all pages need: the log, the templates, and threads in which the library may wait for its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse

from strands_session_log import SessionInfo, SessionLog

from .addresses import session_of
from .conversation.reading import OpenConversations
from .forms import Forms
from .live.hub import Hub
from .rendering import asset_version, environment
from .settings import ViewerSettings
from .spending import SessionCosts

T = TypeVar("T")
_THREADS: Final = 8
"""However many ask: reading and folding take one of so many threads."""


class Viewer:
    """What the pages of one viewer share.

    Args:
        log: The log.
        prefix: What stands before its addresses, if whatever it is mounted in does not tell.
        settings: How it is served.

    Attributes:
        log: The log.
        settings: How it is served.
        prefix: As given.
        conversations: The sessions people look at.
        forms: What forms that write must bring.
        hub: What is followed for those who have a page open.
    """

    def __init__(self, log: SessionLog, prefix: str, settings: ViewerSettings) -> None:
        self.log, self.settings, self.prefix = log, settings, prefix
        self.conversations, self._templates, self.forms = OpenConversations(log), environment(), Forms()
        self._costs = SessionCosts(log, settings.prices) if settings.prices else None
        self._limiter: CapacityLimiter | None = None
        self._checking: CapacityLimiter | None = None
        self.hub = Hub(log, self.conversations, self.work)

    async def work(self, call: Callable[[], T]) -> T:
        """Do what reads from the server, off the event loop."""
        self._limiter = self._limiter or CapacityLimiter(_THREADS)
        return await to_thread.run_sync(call, limiter=self._limiter)

    def costs(self, page: Sequence[SessionInfo]) -> dict[str, str] | None:
        """What each of these sessions has cost; None where no prices are given."""
        return self._costs.of(page) if self._costs else None

    async def check(self, call: Callable[[], T]) -> T:
        """Do what computes for long, one at a time, so that it is not in the way of those who read."""
        self._checking = self._checking or CapacityLimiter(1)
        return await to_thread.run_sync(call, limiter=self._checking)

    def path(self, request: Request, path: str) -> str:
        """An address of the viewer, as it is mounted."""
        return str(request.scope.get("root_path", "")) + self.prefix + path

    def html(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page or a part of one."""
        return HTMLResponse(self.rendered(request, template, **values), status, headers={"Vary": "HX-Request"})

    def rendered(self, request: Request, template: str, **values: Any) -> str:
        """The text of a page, or of a part of one."""
        return self._templates.get_template(template).render(self._given(request, values))

    def macros(self, request: Request, template: str, **values: Any) -> Any:
        """The macros of a template, for what is drawn many times."""
        return self._templates.get_template(template).make_module(self._given(request, values))

    def _given(self, request: Request, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "nonce": request.state.nonce,
            "page": "",
            "mask": self.settings.mask,
            "searches": bool(self.settings.search_index),
            "path": lambda path: self.path(request, path),
            "asset": lambda name: self.path(request, f"/static/{asset_version(name)}/{name}"),
            **values,
        }


def session_id_of(request: Request) -> str:
    """The session that an address names."""
    return session_of(request.path_params["session_id"])
