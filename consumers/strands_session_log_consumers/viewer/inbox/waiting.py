"""Who waits for a person: what is asked, with what was said before, and what people here have answered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import Any, Final

from strands_session_log import AgentActivity, MessageRecord, OpenInterrupt, SessionInfo, SessionLog, SessionState
from strands_session_log.errors import EncryptionError, SessionNotFoundError

from ..content.blocks import ToolCall, blocks_of
from ..conversation.reading import OpenConversations
from ..recent import Recent
from ..rendering import short_hash

PAGE: Final = 50
_BEFORE: Final = 3
"""How many messages are shown of what was said before."""
_SENT: Final = 4_096


@dataclass(frozen=True)
class SentAnswer:
    """An answer that was sent to the application; it is given once `interrupt.answered` stands in the log.

    Attributes:
        person: Who sent it.
        answer: What it was.
        time: When.
    """

    person: str
    answer: Any
    time: datetime


@dataclass(frozen=True)
class WaitingItem:
    """Something a person is asked.

    Attributes:
        session_id: In which session.
        head: How many events that has.
        asked: What is asked; of an agent whose state does not tell, only its name.
        since: When it was asked.
        revision: The event since which it waits.
        calls: The calls of tools that wait for it.
        before: What was said last.
        sent: What was sent last, if anything was.
    """

    session_id: str
    head: int
    asked: OpenInterrupt
    since: datetime
    revision: int
    calls: Sequence[ToolCall]
    before: Sequence[MessageRecord]
    sent: SentAnswer | None

    @property
    def key(self) -> str:
        """What can stand in an HTML id for it."""
        return short_hash(f"{self.session_id} {self.asked.interrupt_id}")

    @property
    def version(self) -> str:
        """Another one where a page is to show something else of it."""
        return short_hash(f"{self.revision} {self.sent}")

    def to_json(self) -> dict[str, Any]:
        """What a person is asked, as plain JSON values."""
        sent = self.sent
        return {
            "session_id": self.session_id,
            **self.asked.to_json(),
            "since": self.since.isoformat(),
            "revision": self.revision,
            "head": self.head,
            "before": [one.to_json() for one in self.before],
            "sent": sent and {"person": sent.person, "answer": sent.answer, "time": sent.time.isoformat()},
        }

    @property
    def code(self) -> str:
        """How an application answers it."""
        answer = json.dumps({"interruptResponse": {"interruptId": self.asked.interrupt_id, "response": "yes"}})
        return (
            "from strands import Agent\nfrom strands_session_log import ValkeySessionManager\n"
            f"agent = Agent(session_manager=ValkeySessionManager({self.session_id!r}))\nagent([{answer}])"
        )


class Inbox:
    """What persons are asked, over all sessions.

    Args:
        log: Where they are.
        conversations: The sessions people look at.
    """

    def __init__(self, log: SessionLog, conversations: OpenConversations) -> None:
        self._log, self._conversations = log, conversations
        self._sent = Recent[tuple[str, str], SentAnswer](_SENT)

    def page(self, agent: str | None, before: str | None, newest: bool) -> tuple[list[WaitingItem], str | None]:
        """Some of them, and where the next page begins.

        Args:
            agent: Only of this agent.
            before: Where the page before ended.
            newest: Those first that were active last, not longest ago.

        Raises:
            InvalidPointError: When `before` is no cursor; an `InvalidIdError` when the agent is no id.
        """
        found = self._log.sessions(PAGE, before, waiting=True, agent=agent, ascending=not newest)
        items = [item for info in found for item in self._of(info) if agent in (None, item.asked.agent)]
        return items, found[-1].cursor if len(found) == PAGE else None

    def item(self, session_id: str, interrupt_id: str) -> WaitingItem | None:
        """One of them; None when it waits no more.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        return next(
            (one for one in self._of(self._log.session(session_id)) if one.asked.interrupt_id == interrupt_id), None
        )

    def note_sent(self, item: WaitingItem, person: str, answer: Any) -> None:
        """Remember what was sent, for whoever comes next."""
        sent = SentAnswer(person, answer, datetime.now(timezone.utc))
        self._sent.put((item.session_id, item.asked.interrupt_id), sent)

    def _of(self, info: SessionInfo) -> Iterator[WaitingItem]:
        waiting = {one.agent: one for one in info.agents if one.status == "answer"}
        if not waiting:
            return
        try:
            state = self._conversations.open(info.session_id).state(info.revision)
        except SessionNotFoundError:
            return
        except EncryptionError:
            # That somebody is asked stands in the clear; who may not read it is not told what.
            state = SessionState()
        told = [one for one in state.interrupts if one.agent in waiting]
        known = {one.agent for one in told}
        untold = [OpenInterrupt(agent, "", one.name or "") for agent, one in waiting.items() if agent not in known]
        for asked in (*told, *untold):
            yield self._item(info, waiting[asked.agent], asked, state)

    def _item(
        self, info: SessionInfo, activity: AgentActivity, asked: OpenInterrupt, state: SessionState
    ) -> WaitingItem:
        since = activity.since
        messages = _last_messages(state, asked.agent)
        return WaitingItem(
            info.session_id,
            info.revision,
            asked,
            since.time if since else info.last_event_at,
            since.revision if since else info.revision,
            _calls(messages),
            messages,
            self._sent.get((info.session_id, asked.interrupt_id)),
        )


def _last_messages(state: SessionState, agent: str) -> list[MessageRecord]:
    """What was said last: by the agent, or by the nodes of a graph or swarm."""
    known = state.agents.get(agent)
    if known is not None:
        return _tail(known.messages)
    nodes = [one for name, one in state.agents.items() if name.startswith(f"{agent}:")]
    said = [record for node in nodes for record in _tail(node.messages)]
    return sorted(said, key=lambda record: record.id)[-_BEFORE:]


def _tail(messages: Any) -> list[MessageRecord]:
    return list(messages[max(0, len(messages) - _BEFORE) :])


def _calls(messages: Sequence[MessageRecord]) -> list[ToolCall]:
    if not messages or messages[-1].erased:
        return []
    return [block for block in islice(blocks_of(messages[-1].shown), 64) if isinstance(block, ToolCall)]


def answered_in(log: SessionLog, session_id: str, interrupt_id: str) -> tuple[int, Any] | None:
    """Where the answer to an interrupt stands, and what it is; None when there is none.

    Args:
        log: The log.
        session_id: The session.
        interrupt_id: The interrupt.
    """
    found = None
    for one in log.read(session_id, types="interrupt.answered"):
        if isinstance(one.event.data, Mapping) and one.event.data.get("id") == interrupt_id:
            found = (one.id.revision, one.event.data.get("response"))
    return found
