"""What happens in a session, for browsers and programs: server-sent events and WebSockets of your own application.

`sse(log, session_id, after, request=request)` is a response for Starlette and FastAPI; `websocket(socket, log,
session_id)` sends the same over a WebSocket. `feed_sse` and `feed_websocket` follow all sessions. All followers of a
process share the few connections of `log.tail`.
"""

from typing import TYPE_CHECKING

from strands_session_log.on_demand import on_demand

if TYPE_CHECKING:
    from .event_source import feed_sse, sse
    from .sockets import feed_websocket, websocket

__all__ = ["feed_sse", "feed_websocket", "sse", "websocket"]

# Its modules need the extra.
__getattr__, __dir__ = on_demand(__name__, {"event_source": "feed_sse sse", "sockets": "feed_websocket websocket"})
