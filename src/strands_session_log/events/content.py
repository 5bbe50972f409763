"""What is said and kept in a session: events that carry content, and change what an agent resumes with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import InvalidPointError
from ..ids import EventId, to_ranges
from .event import ROLES, Known
from .facts import is_index, is_short, mapping

SUBJECTS = "subjects"
"""A member of `session.annotated` that is no label."""
_HASH = re.compile(r"[A-Za-z0-9_-]{43}")
_ORIGIN = ("parent", "root", "at", "link", "session_id")


class SessionCreated(Known):
    """A session began; the data is Strands' `Session` dict."""

    __slots__ = ()
    TYPE = "session.created"


class SessionAnnotated(Known):
    """Someone attached labels to the session; the data is a mapping of label to value.

    A label keeps its newest value; one whose value is None is taken away. The member `subjects` is none: it says whom
    the session is about, by keyed hash, `"session"` or a list of ids of events, as text. `SessionLog.subjects` alone
    writes it.
    """

    __slots__ = ()
    TYPE = "session.annotated"

    @property
    def labels(self) -> dict[str, Any]:
        """The labels, without the subjects."""
        return {name: value for name, value in mapping(self.data).items() if name != SUBJECTS}

    @property
    def subjects(self) -> dict[str, list[EventId] | None]:
        """By the keyed hash of each, which events are about them; None for the session as a whole."""
        listed = mapping(mapping(self.data).get(SUBJECTS))
        return {
            name: list(_event_ids(about)) if isinstance(about, (list, tuple)) else None
            for name, about in listed.items()
            if isinstance(name, str) and _HASH.fullmatch(name)
        }

    @property
    def subject_marks(self) -> list[str]:
        """The same as a head notes it: the hashes, with `~` before those of whom only some events are."""
        return [name if about is None else f"~{name}" for name, about in self.subjects.items()]


class SessionHeld(Known):
    """The session is held: nothing of it is erased, and it is not deleted, until this hold ends: `{"reason", "by"}`.

    Written by `hold` only.
    """

    __slots__ = ()
    TYPE = "session.held"


class SessionReleased(Known):
    """Holds of the session ended: `{"holds", "reason", "by"}`, the ids of the events that had begun them, as text.

    Written by `release` only.
    """

    __slots__ = ()
    TYPE = "session.released"

    def facts(self) -> dict[str, Any]:
        """Which holds: their revisions as ranges."""
        return {"holds": to_ranges(id_.revision for id_ in self.holds)}

    def retains(self) -> dict[str, Any]:
        """Which holds: whoever verifies the session must know whether one is in force."""
        return {"holds": [str(id_) for id_ in self.holds]}

    @property
    def holds(self) -> list[EventId]:
        """The ids of the events that had begun them; what is no id is passed over."""
        listed = mapping(self.data).get("holds")
        return list(_event_ids(listed if isinstance(listed, (list, tuple)) else ()))


class SessionForked(Known):
    """The session began as a copy of another: `{"parent", "root", "at", "link", "session_id"}`.

    `at` and `link` are those of the event before it, up to which the other was copied; `root` is the session for which
    the first link of the chain was computed. Written by `fork` only.
    """

    __slots__ = ()
    TYPE = "session.forked"

    def facts(self) -> dict[str, Any]:
        """Which session, and up to which event."""
        data = mapping(self.data)
        return {name: data.get(name) if is_short(data.get(name)) else None for name in ("parent", "at")}

    def retains(self) -> dict[str, Any]:
        """All of it: whoever verifies the session must know where its chain begins, and there is no content in it."""
        data = mapping(self.data)
        return {name: data[name] for name in _ORIGIN if isinstance(data.get(name), str)}


class SessionRewound(Known):
    """The agents went back to an earlier event: `{"from", "to", "agents", "multi_agents", "waiting"?}`.

    The events before it, of the same append, bring them back; at this one all are. The transcript keeps what was
    undone. `from` is where the session stood; `agents` and `multi_agents` are those that did not exist at `to`;
    `waiting` those that were brought back to where they wait for a person.
    """

    __slots__ = ()
    TYPE = "session.rewound"

    def facts(self) -> dict[str, Any]:
        """From which event to which."""
        data = mapping(self.data)
        return {name: data.get(name) if is_short(data.get(name)) else None for name in ("from", "to")}


class _AgentMoved(Known):
    __slots__ = ()

    @classmethod
    def moved_by(cls, data: Mapping[str, Any]) -> str:
        """The agent."""
        return "agent"


class _MultiAgentMoved(Known):
    __slots__ = ()

    @classmethod
    def moved_by(cls, data: Mapping[str, Any]) -> str:
        """The graph or swarm."""
        return "multi_agent"


class AgentCreated(_AgentMoved):
    """An agent joined the session; the data is Strands' `SessionAgent` dict."""

    __slots__ = ()
    TYPE = "agent.created"


class AgentUpdated(_AgentMoved):
    """An agent's state changed; the data is Strands' `SessionAgent` dict."""

    __slots__ = ()
    TYPE = "agent.updated"


class MessageAdded(_AgentMoved):
    """A message was said; the data is Strands' `SessionMessage` dict."""

    __slots__ = ()
    TYPE = "message.added"

    @property
    def message_index(self) -> int | None:
        """The index this message has in its agent's transcript; None where the data gives none."""
        index = self.data.get("message_id") if isinstance(self.data, Mapping) else None
        return index if type(index) is int else None

    def facts(self) -> dict[str, Any]:
        """Index, role, and names of the tools called; what it cost, the end of the call or of the model call tells."""
        return message_facts(self.data)

    def retains(self) -> dict[str, Any]:
        """Index and role: later changes of the message must find it, and the window must not shift."""
        return message_retains(self.data)


class MessageUpdated(Known):
    """A message was replaced; the data is the new `SessionMessage` dict."""

    __slots__ = ()
    TYPE = "message.updated"

    def facts(self) -> dict[str, Any]:
        """The same as for an added message."""
        return message_facts(self.data)

    def retains(self) -> dict[str, Any]:
        """The same as for an added message."""
        return message_retains(self.data)


class MessageRedacted(MessageUpdated):
    """A message was redacted; the data is a `SessionMessage` dict that keeps nothing of the original."""

    __slots__ = ()
    TYPE = "message.redacted"


class MultiAgentCreated(_MultiAgentMoved):
    """A graph or swarm joined the session; the data is its serialized state, the agent field its id."""

    __slots__ = ()
    TYPE = "multi_agent.created"


class MultiAgentUpdated(_MultiAgentMoved):
    """A graph or swarm moved on; the data is its serialized state, the agent field its id."""

    __slots__ = ()
    TYPE = "multi_agent.updated"


class WindowChanged(_AgentMoved):
    """What an agent holds changed in a way its messages and state do not tell: trimmed, summarized, edited, assigned.

    The data is `{"items": […], "removed": n, "next": n}`: what it holds, as `[first, last]` ranges of the transcript
    and `{"message": …}` for what stands nowhere in it; its conversation manager's removed count; and the index of its
    next message. Messages from that index on follow, and what the manager removes from then on is taken from the front.
    A message of the transcript is named once, and in full where it is held once more.
    """

    __slots__ = ()
    TYPE = "window.changed"

    def facts(self) -> dict[str, Any]:
        """How many messages the agent holds that stand nowhere in the transcript, and how many were left out."""
        data = mapping(self.data)
        items, removed = data.get("items"), data.get("removed")
        listed = items if isinstance(items, (list, tuple)) else ()
        return {
            "inline": sum(isinstance(item, Mapping) for item in listed),
            "removed": removed if is_index(removed) else None,
        }


class PayloadErased(Known):
    """The content of events was erased: `{"erased", "reason"}`, their ids as text, and why. Written by `erase` only."""

    __slots__ = ()
    TYPE = "payload.erased"

    def facts(self) -> dict[str, Any]:
        """The erased revisions as ranges: `3-3,7-9`."""
        return {"erased": to_ranges(id_.revision for id_ in self.erased)}

    def retains(self) -> dict[str, Any]:
        """What was erased: whoever verifies the session must still find it on record."""
        return {"erased": [str(id_) for id_ in self.erased]}

    @property
    def erased(self) -> list[EventId]:
        """The ids of the events whose content was erased; what is no id is passed over."""
        listed = mapping(self.data).get("erased")
        return list(_event_ids(listed if isinstance(listed, (list, tuple)) else ()))


def message_facts(said: Any) -> dict[str, Any]:
    """See `MessageAdded.facts`."""
    data = mapping(said)
    message = mapping(data.get("redact_message") or data.get("message"))
    content, index, role = message.get("content"), data.get("message_id"), message.get("role")
    facts: dict[str, Any] = {}
    if is_index(index):
        facts["index"] = index
    if isinstance(role, str) and role and (role in ROLES or is_short(role)):
        facts["role"] = role
    blocks = map(mapping, content) if isinstance(content, (list, tuple)) else ()
    if tools := [mapping(block["toolUse"]).get("name") for block in blocks if "toolUse" in block]:
        facts["tools"] = [name if is_short(name) else None for name in tools]
    return facts


def message_retains(said: Any) -> dict[str, Any]:
    """See `MessageAdded.retains`."""
    data = mapping(said)
    redaction, index = data.get("redact_message"), data.get("message_id")
    role = mapping(data.get("message") if redaction is None else redaction).get("role")
    if role in ROLES:
        return {"message_id": index, "role": role} if is_index(index) else {"role": role}
    return {"message_id": index} if is_index(index) else {}


def _event_ids(listed: Iterable[Any]) -> Iterable[EventId]:
    for text in listed:
        try:
            yield EventId.parse(str(text))
        except InvalidPointError:
            continue
