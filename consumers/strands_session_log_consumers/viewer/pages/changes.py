"""Fork, rewind and erase: a page each that says in full what will happen, and another one that it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from strands_session_log import EventId, SessionLog
from strands_session_log.errors import SessionLogError

from ..context import Viewer, session_id_of
from ..effects import Effect, NotUnderstoodError, erase_effect, fork_effect, revisions_of, rewind_effect
from ..forms import LONGEST_NAME

_READS_ONLY = "This viewer only reads: start it with --allow-write to fork, rewind and erase."
_CHANGED = "Meanwhile the session changed, and with it what would happen: look at it again."


@dataclass(frozen=True)
class Intent:
    """What somebody is about to do.

    Attributes:
        session_id: To which session.
        head: How many events it has.
        revision: At which point.
        given: What was filled in.
    """

    session_id: str
    head: int
    revision: int
    given: Mapping[str, str]

    def text(self, name: str) -> str:
        """What stands in a field."""
        return self.given.get(name, "").strip()

    @property
    def allowed(self) -> bool:
        """Whether an agent may wait for a tool there."""
        return self.text("allow_unanswered") == "yes"

    @property
    def by(self) -> str:
        """Who does it.

        Raises:
            NotUnderstoodError: When nobody says so.
        """
        return self.needed("by", "say who you are: it stands in the log with what you do")

    def needed(self, name: str, why: str) -> str:
        """What must not be left out.

        Raises:
            NotUnderstoodError: When it was.
        """
        found = self.text(name)
        if not found:
            raise NotUnderstoodError(why)
        return found[:LONGEST_NAME]


class Act:
    """Something that can be done to a session: what it would do, and doing it."""

    template = ""

    def effect(self, log: SessionLog, intent: Intent) -> Effect:
        """What it would do."""
        raise NotImplementedError

    def done(self, log: SessionLog, intent: Intent) -> Mapping[str, Any]:
        """Do it; what is said of it then."""
        raise NotImplementedError


class ForkAct(Act):
    """Begin a new session as a copy."""

    template = "fork.html"

    def effect(self, log: SessionLog, intent: Intent) -> Effect:
        """What would be copied."""
        return fork_effect(log, intent.session_id, intent.revision, intent.allowed)

    def done(self, log: SessionLog, intent: Intent) -> Mapping[str, Any]:
        """Copy it."""
        into, by = intent.needed("into", "give the new session an id"), intent.by
        log.fork(intent.session_id, intent.revision, into, allow_unanswered=intent.allowed, by=by)
        return {"into": into}


class RewindAct(Act):
    """Let agents go on from an earlier point."""

    template = "rewind.html"

    def effect(self, log: SessionLog, intent: Intent) -> Effect:
        """What agents would hold."""
        return rewind_effect(log, intent.session_id, intent.revision, intent.allowed)

    def done(self, log: SessionLog, intent: Intent) -> Mapping[str, Any]:
        """Go back."""
        id_ = log.rewind(intent.session_id, intent.revision, allow_unanswered=intent.allowed, by=intent.by)
        stood = EventId.parse(log.event(intent.session_id, id_).event.data["from"])
        return {"recorded": id_.revision, "stood": stood.revision}


class EraseAct(Act):
    """Erase what events hold."""

    template = "erase.html"

    def effect(self, log: SessionLog, intent: Intent) -> Effect:
        """What would go."""
        return erase_effect(log, intent.session_id, self._revisions(intent))

    def done(self, log: SessionLog, intent: Intent) -> Mapping[str, Any]:
        """Erase it."""
        by, reason = intent.by, intent.needed("reason", "say why: it stands in the log in place of the content")
        if intent.text("confirmed") != intent.session_id.strip():
            raise NotUnderstoodError("type the id of the session as it stands above: this cannot be undone")
        id_ = log.erase(intent.session_id, self._revisions(intent), reason, by=by)
        return {"recorded": id_.revision if id_ else 0}

    def _revisions(self, intent: Intent) -> list[int]:
        return revisions_of(intent.text("events") or str(intent.revision), intent.head)


class ActPages:
    """What may be done to a session, if the viewer may write.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer, self._forms = viewer, viewer.forms

    def form_routes(self) -> dict[str, Any]:
        """What can be asked for, and sent."""
        return {
            "/s/{session_id}/fork": self._page(ForkAct()),
            "/s/{session_id}/rewind": self._page(RewindAct()),
            "/s/{session_id}/erase": self._page(EraseAct()),
        }

    def _page(self, act: Act) -> Callable[[Request], Any]:
        async def page(request: Request) -> Response:
            if not self._viewer.settings.allow_write:
                raise HTTPException(403, _READS_ONLY)
            is_sent = request.method == "POST"
            given = await self._forms.read(request) if is_sent else dict(request.query_params)
            token = self._forms.token(request)
            return await self._viewer.work(lambda: self._answer(request, act, given, is_sent, token))

        return page

    def _answer(self, request: Request, act: Act, given: Mapping[str, str], is_sent: bool, token: str) -> Response:
        log, at = self._viewer.log, given.get("at") or None
        conversation, point = self._viewer.conversations.point(session_id_of(request), at)
        intent = Intent(conversation.session_id, point.head, point.revision, given)
        shared: dict[str, Any] = {
            "session_id": intent.session_id,
            "intent": intent,
            "token": token,
            "act": act.template[:-5],
        }
        shared["is_part"] = "HX-Request" in request.headers
        problem, effect = "", Effect("")
        try:
            effect = act.effect(log, intent)
            if is_sent and not effect.waiting:
                if given.get("seal") == effect.seal:
                    done = act.done(log, intent)
                    return self._viewer.html(request, "done.html", **shared, effect=effect, done=done)
                problem = _CHANGED
        except (NotUnderstoodError, SessionLogError) as error:
            problem = str(error)
        # A script is told in words: browsers complain of every other status.
        status = 422 if problem and not shared["is_part"] else 200
        page = self._viewer.html(request, act.template, status, **shared, effect=effect, problem=problem)
        return self._forms.give(request, page)
