"""Sessions that were active last long ago, as the server has it."""

from __future__ import annotations

from datetime import timedelta

from strands_session_log import SessionLog


def age(log: SessionLog, session_id: str, by: timedelta) -> None:
    """Let a session be older, as the server has it: what a sweep and a prune compare with."""
    keys = log._events.keyspace.session(session_id)
    ms = int(log.client.execute_command("HGET", keys.head, "ms")) - by // timedelta(milliseconds=1)
    log.client.execute_command("HSET", keys.head, "ms", ms)
    log.client.execute_command("ZADD", keys.sessions, ms, session_id)
    log.client.execute_command("ZADD", keys.due, "XX", 0, session_id)
    log._events._appender.forget(session_id)


def sessions(log: SessionLog) -> set[str]:
    return {info.session_id for info in log.sessions()}
