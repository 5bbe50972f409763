"""What a guardrail redacts is replaced everywhere it is stored."""

from __future__ import annotations

from typing import Any

import pytest
from strands_agents import happened, make_agent

from strands_session_log import SessionLog

SECRET = "hunter2-is-my-password"
GUARDRAIL: Any = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "I cannot help with that."}]


def stored_bytes(log: SessionLog) -> bytes:
    """Everything the server holds of this namespace."""
    found = b""
    for key in log.client.execute_command("KEYS", f"{log.namespace}:*"):
        kind = log.client.execute_command("TYPE", key)
        if kind == b"stream":
            found += str(log.client.execute_command("XRANGE", key, "-", "+")).encode()
        else:
            found += str(log.client.execute_command("DUMP", key)).encode()
    return found


@pytest.mark.parametrize("hold", [False, True])
def test_a_redacted_prompt_is_gone_from_the_server_and_the_chain_still_verifies(
    session_log: SessionLog, hold: bool
) -> None:
    agent = make_agent(session_log, ["Hi.", GUARDRAIL, "Fine."], manager={"hold_user_messages": hold})
    agent("Hello")
    agent(f"Remember: {SECRET}")
    assert SECRET.encode() not in stored_bytes(session_log)
    agent("And now?")
    assert make_agent(session_log).messages == agent.messages
    assert agent.messages[2]["content"] == [{"text": "[redacted]"}]
    assert session_log.verify("s").ok


def test_a_held_prompt_is_never_stored_before_the_model_call_has_settled(session_log: SessionLog) -> None:
    stored: list[bytes] = []

    def look(_: Any) -> str:
        stored.append(stored_bytes(session_log))
        return "Fine."

    agent = make_agent(session_log, look, manager={"hold_user_messages": True})
    agent(SECRET)
    assert SECRET.encode() not in stored[0]
    assert SECRET.encode() in stored_bytes(session_log)


def test_a_held_prompt_that_is_redacted_was_never_in_the_log(session_log: SessionLog) -> None:
    make_agent(session_log, [GUARDRAIL], manager={"hold_user_messages": True})(SECRET)
    assert not happened(session_log, types=["message.redacted", "payload.erased"])
    assert happened(session_log, types="message.added")[0].data["message"]["content"] == [{"text": "[redacted]"}]


def test_a_held_prompt_survives_a_model_that_fails(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [RuntimeError("down"), "Up again."], manager={"hold_user_messages": True})
    with pytest.raises(Exception, match="down"):
        agent("Hello")
    assert len(session_log.state("s").agents["default"].messages) == 1
    agent("Still there?")
    assert make_agent(session_log).messages == agent.messages


def test_a_redaction_names_what_it_erased_and_why(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [GUARDRAIL])
    agent(SECRET)
    erased = happened(session_log, types="payload.erased")[0]
    original = next(one for one in session_log.read("s") if one.event.type == "message.added")
    assert erased.data["erased"] == [str(original.id)]
    assert "redact" in erased.data["reason"]
