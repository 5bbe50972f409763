"""What happens in a session, for browsers and programs: server-sent events and WebSockets of your own application.

`sse(log, session_id, after, request=request)` is a response for Starlette and FastAPI; `websocket(socket, log,
session_id)` sends the same over a WebSocket. All followers of a process share the few connections of `log.tail`.
"""

from typing import TYPE_CHECKING

from strands_session_log.on_demand import on_demand

if TYPE_CHECKING:
    from .event_source import sse
    from .sockets import websocket

__all__ = ["sse", "websocket"]

# Its modules need the extra.
__getattr__, __dir__ = on_demand(__name__, {"event_source": "sse", "sockets": "websocket"})
