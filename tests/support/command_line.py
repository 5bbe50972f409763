"""`session-log` called in this process, on a session that has a bit of everything."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from functools import lru_cache
from typing import Any, Protocol

from typer import testing
from typer.main import get_command

from strands_session_log import SessionLog, events
from strands_session_log.cli import app as command_line
from strands_session_log.cli.app import app

# A process of a user's builds one command; for the tests of one, that took longer than what most commands do.
command_line._loaded = lru_cache(command_line._loaded)
_parsing = lru_cache(get_command)


def _with_no_command(app: Any) -> Any:
    """The parser as a process begins with it: commands are loaded when they are called."""
    parser: Any = copy(_parsing(app))
    parser.commands = dict(parser.commands)
    return parser


vars(testing)["_get_command"] = _with_no_command

CALL = {"toolUse": {"toolUseId": "1", "name": "forecast", "input": {"city": "Lisbon", "days": 2}}}
RESULT = {"toolResult": {"toolUseId": "1", "status": "success", "content": [{"text": "19 °C"}]}}


class Run(Protocol):
    """Calls `session-log`, and checks how it ends; None means that it does not matter."""

    def __call__(self, *arguments: str, exit_code: int | None = 0) -> Any: ...


def runner(url: str, namespace: str) -> Run:
    """A way to call `session-log` on a namespace."""
    environment = {"SESSION_LOG_URL": url, "SESSION_LOG_NAMESPACE": namespace, "COLUMNS": "100"}

    def run(*arguments: str, exit_code: int | None = 0) -> Any:
        result = testing.CliRunner().invoke(app, arguments, env=environment, catch_exceptions=False)
        assert exit_code in (None, result.exit_code), result.output
        return result

    return run


def commands_in(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """All commands with their names, those of groups, too; a group is one if it does something by itself."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "commands"):
            yield from commands_in(command, f"{before}{name} ")
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield before + name, command


def message(index: int, role: str, *blocks: Any, agent: str = "default", **fields: Any) -> events.Event:
    """The event of a message; text blocks may be plain text."""
    said = {"role": role, "content": [{"text": block} if isinstance(block, str) else block for block in blocks]}
    record = {"message": said, "message_id": index, "redact_message": None, "created_at": "", "updated_at": ""}
    return events.MessageAdded({**record, **fields}, agent)


def write_session(log: SessionLog) -> None:
    """Write the session `s-42` of six events."""
    log.append("s-42", events.SessionCreated({"session_id": "s-42", "session_type": "AGENT"}))
    log.append("s-42", events.AgentCreated({"agent_id": "default", "state": {"luggage": "hand"}}, "default"))
    log.append("s-42", message(0, "user", "What should I pack?"))
    log.append("s-42", message(1, "assistant", "Let me look.", CALL))
    log.append("s-42", message(2, "user", RESULT))
    log.append("s-42", message(3, "assistant", "A light jacket."))
