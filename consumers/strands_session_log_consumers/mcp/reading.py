"""What the tools ask the log: page by page, each call looking at a bounded part of it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from strands_session_log import (
    AgentState,
    CheckedEvents,
    EventId,
    Recorded,
    SessionInfo,
    SessionLog,
    matches_in,
    search_for,
)
from strands_session_log.cli.api import troubles
from strands_session_log.errors import SessionNotFoundError

from ..search import find, narrowed, open_index
from .settings import McpSettings


class SessionReader:
    """Answers as plain JSON values.

    Args:
        log: The log.
        settings: How much a call may look at.
    """

    def __init__(self, log: SessionLog, settings: McpSettings) -> None:
        self._log, self._settings = log, settings

    def sessions(self, limit: int, cursor: str | None, **wanted: Any) -> dict[str, Any]:
        """A page of the directory, and where the next begins."""
        found = self._log.sessions(limit, before=cursor, last_message=True, **wanted)
        following = found[-1].cursor if len(found) == limit else None
        return {"sessions": [one.to_json() for one in found], "next": following}

    def show(self, session_id: str, at: str | None, agent: str | None, last: int, before: int | None) -> dict[str, Any]:
        """What a session amounts to, with some messages of each agent.

        Raises:
            ValueError: When it has no such agent.
        """
        state = self._log.state(session_id, at)
        if agent is not None and agent not in state.agents:
            raise ValueError(f"session {session_id!r} has no agent {agent!r}; it has {', '.join(state.agents)}")
        agents = {name: one for name, one in state.agents.items() if agent in (None, name)}
        return {
            "session_id": session_id,
            **state.to_json(0),
            "agents": {name: _part_of(one, last, before) for name, one in agents.items()},
        }

    def replay(
        self, session_id: str, after: str | None, limit: int, types: Sequence[str], agent: str | None
    ) -> dict[str, Any]:
        """Events in order, each held against the hash chain."""
        self._log.head(session_id)
        read = self._log.read_checked(session_id, after)
        chosen, last = list[dict[str, Any]](), None
        for one in islice(read, self._settings.max_events):
            last = one.id
            if _is_wanted(one, types, agent):
                chosen.append(one.to_json())
            if len(chosen) == limit:
                break
        return {"session_id": session_id, "events": chosen, **_standing(read, last, self._log.head(session_id))}

    def event(self, session_id: str, point: str) -> dict[str, Any]:
        """One event, whole."""
        return self._log.event(session_id, point).to_json()

    def search(
        self, text: str, session_id: str | None, since: str | None, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """Where text stands, in the sessions that were active last first.

        Raises:
            ValueError: When there is nothing to find.
        """
        if not text.strip():
            raise ValueError("text is empty, and would be found everywhere: say what to find")
        search = search_for(text, is_fixed=True, ignores_case=True)
        hits, looked_at = list[dict[str, Any]](), 0
        for place, one in self._events(session_id, since, *_resumed(cursor)):
            looked_at += 1
            for match in matches_in(one.event, search):
                found = {"where": match.where, "text": str(match)}
                hits.append({"session_id": place[1], "id": str(one.id), "type": one.event.type, **found})
            if len(hits) >= limit or looked_at == self._settings.max_events:
                return {**_read(hits, looked_at), "next": _cursor(*place, str(one.id))}
        return {**_read(hits, looked_at), "next": None}

    def find(self, query: str, limit: int, cursor: str | None, **within: Any) -> dict[str, Any]:
        """What the search index has of a query, newest first, as far as it stands in the log.

        Raises:
            InvalidQueryError: When the query means nothing.
            SearchIndexError: When the index cannot be read.
        """
        index = open_index(self._settings.search_index or "", self._log.namespace)
        hits = find(self._log, index, query, narrowed(self._log, **within), limit, cursor)
        following = hits[-1].cursor if len(hits) == limit else None
        told = [{name: value for name, value in hit.to_json().items() if name != "cursor"} for hit in hits]
        return {"searched": "index", "hits": told, "next": following}

    def why(self, session_id: str) -> dict[str, Any]:
        """What keeps a session from going on."""
        return troubles(self._log, session_id)

    def diff(self, session_id: str, a: str, b: str | None) -> dict[str, Any]:
        """What differs between two points."""
        return {"session_id": session_id, **self._log.diff(session_id, a, b).to_json()}

    def verify(self, session_id: str) -> dict[str, Any]:
        """Whether it is what was written."""
        return {"session_id": session_id, **self._log.verify(session_id).to_json()}

    def _events(
        self, session_id: str | None, since: str | None, before: str | None, resumed: str | None, after: str | None
    ) -> Iterator[tuple[tuple[str | None, str], Recorded]]:
        """Events in the order of a search, with the place that it can be gone on from."""
        if session_id is not None:
            self._log.head(session_id)
        names = iter([(None, session_id)]) if session_id is not None else self._directory(since, before)
        for place in names:
            start = after if place[1] == resumed else since
            try:
                for one in self._log.read(place[1], start):
                    yield place, one
            except SessionNotFoundError:
                continue

    def _directory(self, since: str | None, before: str | None) -> Iterator[tuple[str | None, str]]:
        """Sessions, each with the cursor that it follows."""
        page: list[SessionInfo] | None = None
        while page is None or page:
            page = self._log.sessions(100, before=before, since=since)
            for info in page:
                yield before, info.session_id
                before = info.cursor


def _read(hits: list[dict[str, Any]], looked_at: int) -> dict[str, Any]:
    return {"searched": "sessions", "hits": hits, "looked_at": looked_at}


def _part_of(agent: AgentState, last: int, before: int | None) -> dict[str, Any]:
    messages = agent.messages
    end = len(messages) if before is None else messages.position(before)
    shown = messages[max(0, end - last) : end]
    earlier = shown[0].message_id if shown and end > last else None
    return {**agent.to_json(0), "messages": [one.to_json() for one in shown], "earlier": earlier}


def _is_wanted(one: Recorded, types: Sequence[str], agent: str | None) -> bool:
    type_ = one.event.type
    is_type = not types or any(type_ == name or (name[-2:] == ".*" and type_.startswith(name[:-1])) for name in types)
    return is_type and agent in (None, one.event.agent)


def _standing(read: CheckedEvents, last: EventId | None, head: EventId) -> dict[str, Any]:
    following = str(last) if last is not None and last.revision < head.revision else None
    return {"integrity": str(read.integrity), "next": following}


def _cursor(before: str | None, session_id: str, after: str) -> str:
    """As text that no client takes for JSON of its own."""
    return urlsafe_b64encode(json.dumps([before, session_id, after]).encode()).decode()


def _resumed(cursor: str | None) -> tuple[str | None, str | None, str | None]:
    """Where a search goes on: the session before, the session, and the event in it."""
    if cursor is None:
        return None, None, None
    try:
        before, session_id, after = json.loads(urlsafe_b64decode(cursor))
    except (ValueError, TypeError):
        raise ValueError(f"cursor {cursor!r} is none: give what `next` was") from None
    return before, session_id, after
