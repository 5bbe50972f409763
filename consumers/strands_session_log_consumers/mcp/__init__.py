"""Sessions for coding agents: an MCP server that lists, shows, searches, explains, compares and verifies them.

`reading` asks the log, `answers` bounds what is answered and fences what was recorded, `tools` is what a client is
offered, `serving` offers it over HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import McpSettings

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from strands_session_log import SessionLog

__all__ = ["McpSettings", "server"]


def server(log: SessionLog, settings: McpSettings | None = None) -> MCPServer:
    """An MCP server for a log, to be run over stdio or HTTP, or asked in this process.

    Args:
        log: The log.
        settings: How much it tells, and whether it may write.

    Raises:
        MissingExtraError: When the extra `mcp` is not installed.
    """
    from strands_session_log.errors import MissingExtraError

    try:
        from .tools import build
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "pydantic", "typer", "rich"):
            raise
        raise MissingExtraError("mcp", "the MCP server") from error
    return build(log, settings or McpSettings())
