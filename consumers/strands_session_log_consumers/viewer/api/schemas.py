"""What the API answers with, as JSON Schema: what an OpenAPI document calls components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final


def _object(what: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "description": what, "required": list(properties), "properties": properties}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _by_name(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}
_FLAG: Final = {"type": "boolean"}
_ANYTHING: Final[dict[str, Any]] = {}
_OBJECT: Final = {"type": "object"}
_TIME: Final = {"type": "string", "format": "date-time"}
_ID: Final = {"type": "string", "description": "Milliseconds and revision.", "examples": ["1764412800000-12"]}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_MAYBE_WHOLE: Final = {"type": ["integer", "null"]}
_CURSOR: Final = {"type": ["string", "null"], "description": "What `before` takes to go on; null at the end."}
_INTEGRITY: Final = {
    "type": "string",
    "description": "What the hash chain says: `intact`, `broken at 7`, `broken`, or `not checked`.",
}

PROBLEM: Final = _ref("Problem")

SCHEMAS: Final[Mapping[str, Any]] = {
    "Problem": {
        "type": "object",
        "description": "Why something cannot be answered, as RFC 9457 has it.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": _TEXT,
            "title": _TEXT,
            "status": _WHOLE,
            "detail": {"type": "string", "description": "A sentence."},
            "error": {"type": "string", "description": "The name of the library's error, where it is one."},
        },
    },
    "Event": _object(
        "An event as `session-log events --json` prints it.",
        id=_ID,
        type=_TEXT,
        agent=_TEXT,
        event_id=_TEXT,
        time=_TEXT,
        v=_WHOLE,
        trace=_MAYBE_TEXT,
        link={"type": "string", "description": "The hash chain up to and including this event, base64url."},
        data={"description": "What happened, as it stands in the log; bytes as `__bytes_encoded__`."},
        integrity=_INTEGRITY,
    ),
    "Events": _object(
        "A page of events.",
        events=_list(_ref("Event")),
        next={
            "type": ["integer", "null"],
            "description": "What `after` (oldest first) or `before` (newest first) takes to go on; null at the end.",
        },
        head={"type": "integer", "description": "How many events the session has."},
    ),
    "Activity": _object(
        "What an agent, graph or swarm does.",
        agent=_TEXT,
        status=_TEXT,
        silent={"type": "boolean", "description": "Whether it is at work, and was not heard of for ten minutes."},
        name=_MAYBE_TEXT,
        since=_MAYBE_TEXT,
        last_sign_at=_or_null(_TIME),
        messages=_WHOLE,
    ),
    "Session": _object(
        "What the log sums up of a session.",
        session_id=_TEXT,
        status=_TEXT,
        shown_status={"type": "string", "description": "The same, or `silent`: at work, and not heard of for long."},
        agents=_list(_ref("Activity")),
        messages=_WHOLE,
        input_tokens=_MAYBE_WHOLE,
        output_tokens=_MAYBE_WHOLE,
        errors=_MAYBE_WHOLE,
        labels=_OBJECT,
        last_message=_or_null(_object("What was said last.", id=_ID, agent=_TEXT, type=_TEXT, data=_ANYTHING)),
        held={"type": "boolean", "description": "Whether nothing of it is erased or deleted."},
        ttl_seconds={"type": ["number", "null"], "description": "After how long without an event it may be deleted."},
        revision=_WHOLE,
        created_at=_TIME,
        last_event_at=_TIME,
        cursor=_TEXT,
    ),
    "Hold": _object(
        "Why nothing of a session is erased or deleted.",
        session_id=_TEXT,
        id=_or_null(_ID),
        since=_TIME,
        by=_TEXT,
        reason=_TEXT,
    ),
    "Sessions": _object("A page of sessions.", sessions=_list(_ref("Session")), next=_CURSOR),
    "SessionDetail": {
        "description": "What the log sums up of a session, and how far it is checked.",
        "allOf": [
            _ref("Session"),
            _object(
                "Where it stands.",
                link=_TEXT,
                check=_or_null(_ref("Check")),
                holds=_list(_ref("Hold")),
                subjects={
                    **_list(_TEXT),
                    "description": "Whom it is about, by keyed hash; `~` before those of whom only some events are.",
                },
            ),
        ],
    },
    "Check": _object(
        "How far the events of a session are held against the hash chain.",
        revision={"type": "integer", "description": "Up to which event."},
        head={"type": "integer", "description": "Of how many."},
        percent=_WHOLE,
        done={"type": "boolean", "description": "Whether that is all; ask again until it is."},
        intact={"type": ["boolean", "null"], "description": "Null until that is known."},
        problems=_list(_TEXT),
        problem_count={"type": "integer", "description": "How many there are; the first 100 are told."},
        broken_at=_MAYBE_WHOLE,
        link=_TEXT,
        time=_TIME,
        replaced={"type": "boolean", "description": "Whether the session was deleted or replaced meanwhile."},
    ),
    "Message": _object(
        "A message of a transcript.",
        message=_OBJECT,
        message_id=_WHOLE,
        redact_message=_or_null(_OBJECT),
        created_at=_MAYBE_TEXT,
        updated_at=_MAYBE_TEXT,
        id=_ID,
        erased=_FLAG,
    ),
    "Agent": _object(
        "An agent at a point.",
        messages={"type": "array", "items": _ref("Message"), "description": "The last of its transcript."},
        message_count={"type": "integer", "description": "How many there are in all."},
        window={
            "type": "array",
            "description": "What it held: stretches `[start, end)` of its transcript, and messages not in it.",
            "items": {"anyOf": [{**_list(_WHOLE), "minItems": 2, "maxItems": 2}, _OBJECT]},
        },
        state=_OBJECT,
        in_force=_or_null(_OBJECT),
    ),
    "Interrupt": _object(
        "What a person is asked.", agent=_TEXT, interrupt_id=_TEXT, name=_TEXT, reason={"description": "Any JSON."}
    ),
    "State": _object(
        "A session as it was at a point.",
        session_id=_TEXT,
        session=_or_null(_OBJECT),
        labels=_OBJECT,
        agents=_by_name(_ref("Agent")),
        interrupts=_list(_ref("Interrupt")),
        multi_agents=_by_name(_OBJECT),
        revision=_WHOLE,
        position=_ID,
        link=_TEXT,
        integrity=_INTEGRITY,
    ),
    "Change": _object(
        "A value that differs.",
        path=_list({"type": ["string", "integer"]}),
        kind={"type": "string", "enum": ["added", "changed", "removed"]},
        before=_ANYTHING,
        after=_ANYTHING,
    ),
    "MessageChange": _object(
        "A message that differs.", index=_WHOLE, before=_or_null(_ref("Message")), after=_or_null(_ref("Message"))
    ),
    "AgentDiff": _object(
        "What differs of an agent.",
        presence={"type": "string", "enum": ["kept", "added", "removed"]},
        added=_list(_ref("MessageChange")),
        changed=_list(_ref("MessageChange")),
        redacted=_list(_ref("MessageChange")),
        removed=_list(_ref("MessageChange")),
        state=_list(_ref("Change")),
        record=_list(_ref("Change")),
        window_left=_list(_WHOLE),
        window_joined=_list(_WHOLE),
        window_rearranged=_FLAG,
    ),
    "Diff": _object(
        "What differs between two points.",
        session_id=_TEXT,
        before=_ID,
        after=_ID,
        agents=_by_name(_ref("AgentDiff")),
        multi_agents=_list(_ref("Change")),
        session=_list(_ref("Change")),
        labels=_list(_ref("Change")),
        integrity=_INTEGRITY,
    ),
    "Turns": _object(
        "Where agents were called.",
        turns=_list(_object("A call.", revision=_WHOLE, agent=_TEXT, title=_TEXT)),
        next={"type": ["integer", "null"], "description": "What `before` takes to go on; null at the end."},
        head=_WHOLE,
    ),
    "Waiting": _object(
        "Something a person is asked.",
        session_id=_TEXT,
        agent=_TEXT,
        interrupt_id=_TEXT,
        name=_TEXT,
        reason={"description": "Any JSON."},
        since=_TIME,
        revision={"type": "integer", "description": "The event since which it waits."},
        head=_WHOLE,
        before={"type": "array", "items": _ref("Message"), "description": "What was said last."},
        sent=_or_null(_object("The answer that was sent.", person=_TEXT, answer=_ANYTHING, time=_TIME)),
    ),
    "Hits": _object(
        "A page of what was found.",
        hits=_list(
            _object(
                "A message.",
                session_id=_TEXT,
                id=_ID,
                agent=_TEXT,
                role=_TEXT,
                text={"type": "string", "description": "What it says around what was found."},
                found=_list(_TEXT),
                cursor=_TEXT,
            )
        ),
        next=_CURSOR,
    ),
    "Inbox": _object("Who waits for a person.", waiting=_list(_ref("Waiting")), next=_CURSOR),
}


def schema_of(name: str) -> dict[str, Any]:
    """What refers to one of them."""
    assert name in SCHEMAS
    return _ref(name)
