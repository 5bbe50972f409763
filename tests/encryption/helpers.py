"""What the tests of encryption write and look for."""

from __future__ import annotations

from strands_session_log import SessionLog, events

SECRET = "correct-horse-battery-staple"


def note(text: str = SECRET) -> events.Event:
    return events.Custom("custom.note", {"text": text})


def message(index: int, text: str = SECRET) -> events.Event:
    said = {"role": "user" if index % 2 == 0 else "assistant", "content": [{"text": text}]}
    data = {"message": said, "message_id": index, "redact_message": None, "created_at": "", "updated_at": ""}
    return events.MessageAdded(data, "a")


def begin(log: SessionLog, session_id: str = "s") -> None:
    """A session with an agent and two messages."""
    record = {"agent_id": "a", "state": {"known": SECRET}, "conversation_manager_state": {}}
    log.append(session_id, [events.SessionCreated({"session_id": session_id}), events.AgentCreated(record, "a")])
    log.append(session_id, [message(0), message(1, f"{SECRET} again")])


def texts(log: SessionLog, session_id: str = "s") -> list[str]:
    """What the messages of a session say, of those that can be read."""
    said = (one.event for one in log.read(session_id, types="message.added"))
    return [event.data["message"]["content"][0]["text"] for event in said if event.has_content]
