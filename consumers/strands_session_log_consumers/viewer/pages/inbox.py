"""The inbox: what persons are asked, and their answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from strands_session_log.errors import InvalidIdError, InvalidPointError, SessionNotFoundError

from ..context import Viewer
from ..forms import LONGEST_NAME
from ..inbox.answers import AnswerNotSentError, AnswerSender, PersonsAnswer
from ..inbox.waiting import Inbox, WaitingItem, answered_in
from ..json_answers import json_answer

_LONGEST_ANSWER = 64 * 1024


class InboxPages:
    """Interrupts that wait for an answer, over all sessions.

    Args:
        viewer: What all pages share.
        inbox: Who waits.
    """

    def __init__(self, viewer: Viewer, inbox: Inbox) -> None:
        self._viewer, self._inbox = viewer, inbox
        settings = viewer.settings
        self._sender = AnswerSender(settings.answer_url, settings.answer_secret) if settings.answer_url else None

    def routes(self) -> dict[str, Any]:
        """What can be asked for."""
        return {
            "/inbox": self.inbox,
            "/f/inbox": self.items,
            "/f/inbox/item": self.item,
        }

    def form_routes(self) -> dict[str, Any]:
        """What can be asked for, and sent."""
        return {"/inbox/answer": self.answer}

    async def inbox(self, request: Request) -> Response:
        """Who waits for a person, the longest first."""
        query = request.query_params
        agent, newest, problem = query.get("agent", "").strip(), query.get("order") == "newest", ""
        items, more = list[WaitingItem](), None
        try:
            before = query.get("before") or None
            items, more = await self._viewer.work(lambda: self._inbox.page(agent or None, before, newest))
        except (InvalidPointError, InvalidIdError) as error:
            problem = str(error)
        shown: dict[str, Any] = {"items": items, "more": more, "agent": agent, "newest": newest, "problem": problem}
        return self._page(
            request, "inbox.html", **shown, is_first=not query.get("before"), heading=_heading(items, more)
        )

    async def items(self, request: Request) -> Response:
        """Those of the first page, each by itself: a page that is open takes what is new, and leaves what is filled in.

        Raises:
            InvalidIdError: When the agent is no id.
        """
        query = request.query_params
        agent, newest = query.get("agent", "").strip() or None, query.get("order") == "newest"
        return await self._viewer.work(lambda: self._items(request, *self._inbox.page(agent, None, newest)))

    def _items(self, request: Request, items: Sequence[WaitingItem], more: str | None) -> Response:
        told = [
            {
                "id": f"i-{item.key}",
                "version": item.version,
                "html": bytes(self._part(request, item).body).decode().strip(),
            }
            for item in items
        ]
        return json_answer({"heading": _heading(items, more), "items": told})

    async def item(self, request: Request) -> Response:
        """How one of them stands: asked for again and again while an answer is on its way."""
        query = request.query_params
        return await self._viewer.work(
            lambda: self._item(request, query.get("session", ""), query.get("interrupt", ""))
        )

    async def answer(self, request: Request) -> Response:
        """Ask whether an answer is meant, and send it."""
        if self._sender is None:
            raise HTTPException(403, "This viewer sends no answers: start it with --answer-url.")
        if request.method != "POST":
            raise HTTPException(405, "Answers are sent, not asked for.")
        given = await self._viewer.forms.read(request)
        request.state.session_id = given.get("session", "")
        return await self._viewer.work(lambda: self._answered(request, given))

    def _answered(self, request: Request, given: Mapping[str, str]) -> Response:
        session_id, interrupt = given.get("session", ""), given.get("interrupt", "")
        item = self._inbox.item(session_id, interrupt)
        if item is None:
            return self._item(request, session_id, interrupt)
        try:
            person, answer = given.get("person", "").strip()[:LONGEST_NAME], self._meant(item, given)
            if not person:
                raise ValueError("say who you are: it is sent along")
            if given.get("confirmed") != "yes":
                return self._part(request, item, confirm={"person": person, "answer": answer, "given": given})
            self._send(item, person, answer)
        except (ValueError, AnswerNotSentError) as error:
            return self._part(request, item, status=422, problem=str(error), given=given)
        return self._item(request, session_id, interrupt)

    def _meant(self, item: WaitingItem, given: Mapping[str, str]) -> Any:
        """The answer that a form has: one that may be chosen, a text, or what a text is as JSON.

        Raises:
            ValueError: When it has none.
        """
        choices, text = self._choices(item), given.get("answer", "")[:_LONGEST_ANSWER]
        if given.get("choice") in choices:
            return choices[given["choice"]]
        if not text.strip():
            raise ValueError("give an answer")
        if given.get("as_json") != "yes":
            return text
        try:
            meant = json.loads(text)
            # What is sent is JSON that every reader understands: no NaN, no number of more than 64 bits.
            if orjson.loads(orjson.dumps(meant)) == meant:
                return meant
        except (ValueError, TypeError, RecursionError):
            pass
        raise ValueError("that is no JSON: leave the box empty to send it as text")

    def _send(self, item: WaitingItem, person: str, answer: Any) -> None:
        assert self._sender is not None
        link = self._viewer.log.event(item.session_id, item.head).link
        asked = item.asked
        named = (item.session_id, asked.agent, asked.interrupt_id, asked.name)
        self._sender.send(PersonsAnswer(*named, answer, person, item.head, link))
        self._inbox.note_sent(item, person, answer)
        self._viewer.hub.tell_of_answer()

    def _item(self, request: Request, session_id: str, interrupt: str) -> Response:
        try:
            item = self._inbox.item(session_id, interrupt)
        except SessionNotFoundError:
            raise HTTPException(404, "There is no such session.") from None
        if item is not None:
            return self._part(request, item)
        found = answered_in(self._viewer.log, session_id, interrupt)
        shown: dict[str, Any] = {
            "session_id": session_id,
            "answered": found,
            "is_part": "HX-Request" in request.headers,
        }
        return self._viewer.html(request, "inbox_answered.html", page="inbox", **shown)

    def _part(self, request: Request, item: WaitingItem, status: int = 200, **shown: Any) -> Response:
        is_part = "HX-Request" in request.headers
        # A script is told in words: browsers complain of every other status.
        return self._page(request, "inbox_one.html", 200 if is_part else status, item=item, is_part=is_part, **shown)

    def _page(self, request: Request, template: str, status: int = 200, **shown: Any) -> Response:
        given: dict[str, Any] = {"confirm": None, "problem": "", "given": {}, **shown}
        token = self._viewer.forms.token(request)
        common = {"choices": self._choices, "can_answer": self._sender is not None, "token": token}
        page = self._viewer.html(request, template, status, page="inbox", **common, **given)
        return self._viewer.forms.give(request, page)

    def _choices(self, item: WaitingItem) -> Mapping[str, Any]:
        known: Mapping[str, Mapping[str, Any]] = self._viewer.settings.answers
        return known.get(item.asked.name, {})


def _heading(items: Sequence[WaitingItem], more: str | None) -> str:
    """How many wait."""
    only = len(items) == 1 and not more
    return f"{len(items):,}{'+' if more else ''} {'waits' if only else 'wait'} for a person"
