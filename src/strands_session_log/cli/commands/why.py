"""`session-log why`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from ... import AgentActivity, Recorded, SessionInfo, SessionLog
from ..context import CommandCall
from ..options import SessionArgument, command
from ..render.troubles import CALL_BEGINS, FAILURES, Question, Trouble, print_troubles, troubles_json
from ..terminal import console, write_json

EPILOG = "Examples:\n\nsession-log why s-42\n\nsession-log why s-42 --json | jq -r '.troubles[].error_text'"
_RECORDS = ("agent.created", "agent.updated", "multi_agent.created", "multi_agent.updated")
_TYPES = (CALL_BEGINS, *FAILURES, "interrupt.*", "node.*", *_RECORDS, "session.rewound")


@command
def why(call: CommandCall, session: SessionArgument) -> None:
    """Tell why a session does not go on: what failed last and what it said, what is waited for, and how to go on.

    If nothing is the matter, it says so; that is no error.
    """
    with call.opened() as log:
        info, found, last = look(log, session)
    target = call.same_target_options
    if call.as_json:
        write_json(troubles_json(info, found, last, target))
    else:
        print_troubles(console(), info, found, last, target)


def look(log: SessionLog, session_id: str) -> tuple[SessionInfo, list[Trouble], Recorded | None]:
    """What is known of a session, what keeps it from going on, and, if nothing does, what failed last."""
    info = log.session(session_id)
    busy = [one for one in info.agents if one.status != "idle"]
    told = _told(log, session_id) if busy else {}
    found = [told.get(one.agent, _Told()).trouble(one) for one in busy]
    return info, found, None if found or not info.errors else _last(log, session_id)


def _told(log: SessionLog, session_id: str) -> dict[str, _Told]:
    """What the agents of a session told of their last calls; all are read at once, for there may be many."""
    told = dict[str, _Told]()
    for one in log.read(session_id, types=_TYPES):
        if one.event.type == "session.rewound":
            for of_agent in told.values():
                of_agent.go_back()
        else:
            told.setdefault(one.event.agent, _Told()).add(one)
    return told


class _Told:
    """What one agent told."""

    def __init__(self) -> None:
        self._began: Recorded | None = None
        self._failed, self._open, self._raised = list[Recorded](), dict[str, Recorded](), dict[str, Recorded]()
        self._record: Mapping[str, Any] | None = None

    def add(self, one: Recorded) -> None:
        data = one.event.data
        match one.event.type:
            case "invocation.started":
                self.go_back()
                self._began = one
            case "interrupt.raised":
                self._open[str(data.get("id"))] = self._raised[str(data.get("id"))] = one
            case "interrupt.answered":
                self._open.pop(str(data.get("id")), None)
            case "node.started":
                self._failed = [other for other in self._failed if other.event.data.get("node") != data.get("node")]
            case "node.completed" if data.get("status") == "failed":
                self._failed.append(one)
            case type_ if type_ in FAILURES:
                self._failed.append(one)
            case type_ if type_ in _RECORDS:
                self._record = data

    @property
    def _waiting(self) -> Mapping[str, Any] | None:
        """Its interrupts, as its record has them, if it waits for answers."""
        found: Any = self._record
        for name in ("_internal_state", "interrupt_state"):
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) and found.get("activated") is True else None

    def go_back(self) -> None:
        """Nothing is open any more of the calls that were told of."""
        self._began = None
        self._failed.clear()
        self._open.clear()

    def trouble(self, activity: AgentActivity) -> Trouble:
        """What there is to say of it."""
        is_answerable = self._record is None or self._waiting is not None
        questions = tuple(self._questions()) if activity.status == "answer" else ()
        return Trouble(activity, self._began, tuple(self._failed), questions, is_answerable)

    def _questions(self) -> list[Question]:
        """What it waits for, its record says: also where nobody tells of interrupts, or it was brought back to them."""
        if self._waiting is None:
            return [Question.told(one) for one in self._open.values()]
        asked = self._waiting.get("interrupts")
        listed = asked.items() if isinstance(asked, Mapping) else ()
        return [
            Question.told(self._raised[id_]) if id_ in self._raised else Question.recorded(id_, one)
            for id_, one in listed
            if not (isinstance(one, Mapping) and one.get("response") is not None)
        ]


def _last(log: SessionLog, session_id: str) -> Recorded | None:
    """What failed last, however long ago."""
    newest = deque(log.read(session_id, types=FAILURES), maxlen=1)
    return newest[0] if newest else None
