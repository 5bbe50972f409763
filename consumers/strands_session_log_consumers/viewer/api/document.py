"""The API as an OpenAPI 3.1 document: what can be asked for, how that is read, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from strands_session_log import __version__

from ..json_answers import PROBLEM_TYPE
from .schemas import PROBLEM, SCHEMAS, schema_of

API: Final = "/api/v1"
MOST_REVISIONS: Final = 999_999_999_999_999
_LONGEST_TEXT: Final = 1_024
_MOST_VALUES: Final = 32
_TEXT: Final[Mapping[str, Any]] = {"minLength": 1, "maxLength": _LONGEST_TEXT}
_JSON: Final = "application/json"
_STATUSES: Final = ("running", "answer", "failed", "silent", "idle")
_POINT: Final = "a revision (12), an event id, an ISO time, or a relative time (-5m)"
_ERRORS: Final[Mapping[str, str]] = {
    "400": "Something in the query or address means nothing.",
    "401": "The token is lacking.",
    "404": "There is no such session, event or stretch.",
    "409": "What stands there is not what was written.",
    "421": "The viewer does not go by that host name.",
    "503": "The server of the log is away.",
}
_COLUMNS: Final = """Little endian, as columns. First 4 bytes: the length of a head; then the head, JSON filled up with
blanks to a multiple of 4: `first` (revision of the first event), `count`, `start` (milliseconds since the epoch),
`lanes` (names by number), `jumps` (`[revision, to]` of each rewind), `turns` (revisions). Then, `count` values each:
milliseconds since `start` (u32), duration in milliseconds (u32), lane (u16), kind (u8), flags (u8).
Kinds: 0 user, 1 model, 2 tool, 3 wait, 4 state, 5 turn, 6 node, 7 rewind, 8 fork, 9 gap, 10 custom.
Flags: 1 error, 2 erased, 4 a turn begins, 8 a turn ends, 16 message, 32 answer of a person.
A block has 8,192 events at most: block 0 begins with revision 1, block 1 with 8,193. Blocks that are full stay as
they are but for erasures."""
_LIVE: Final = """Server-sent events: `event` (one of the log; `id` is its id, `data` as in Event), `words` (what is
being said and not in the log yet: a list of `{agent, begins, pieces: [[kind, text]]}`, or `{agent, over}` once it is),
`behind` (`{events}` still to come), `session` (`{status}`), `server` (`{away}`: since when it does not answer, or
null), `gone` (`{text}`: the history is another one; it is the last) and `ping`. After a lost connection,
`Last-Event-ID` goes on behind that event."""


@dataclass(frozen=True)
class QueryParameter:
    """One parameter of a query.

    Attributes:
        name: Its name.
        what: What it is for.
        schema: What it takes, as JSON Schema.
        default: What it is when it is not given.
    """

    name: str
    what: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string", **_TEXT})
    default: Any = None

    def read(self, given: Sequence[str]) -> Any:
        """What was given, as what it means.

        Args:
            given: All values under its name.

        Raises:
            HTTPException: When that is nothing it takes.
        """
        if self.schema["type"] == "array":
            return [self._text(one) for one in given] if len(given) <= _MOST_VALUES else self._refuse("too many")
        if not given:
            return self.default
        if len(given) > 1:
            self._refuse("given more than once")
        match self.schema["type"]:
            case "integer":
                return whole(self.name, given[0], self.schema["minimum"], self.schema["maximum"])
            case "boolean":
                return self._one_of(given[0], ("true", "false")) == "true"
        return self._one_of(given[0], self.schema["enum"]) if "enum" in self.schema else self._text(given[0])

    def _text(self, text: str) -> str:
        if not 0 < len(text) <= _LONGEST_TEXT:
            self._refuse(f"has {len(text):,} characters; 1 to {_LONGEST_TEXT:,} may be given")
        return text

    def _one_of(self, text: str, known: Sequence[str]) -> str:
        if text not in known:
            self._refuse(f"is {text[:80]!r}; it can be {', '.join(known)}")
        return text

    def _refuse(self, why: str) -> Any:
        raise HTTPException(400, f"{self.name}: {why}.")

    def to_openapi(self) -> dict[str, Any]:
        """As an OpenAPI document has it."""
        schema = dict(self.schema) if self.default is None else {**self.schema, "default": self.default}
        return {"name": self.name, "in": "query", "description": self.what, "required": False, "schema": schema}


def limit(default: int, most: int) -> QueryParameter:
    """How many are asked for."""
    schema = {"type": "integer", "minimum": 1, "maximum": most}
    return QueryParameter("limit", "How many at most.", schema, default)


def choice(name: str, what: str, known: Sequence[str], default: str | None = None) -> QueryParameter:
    """One of some words."""
    return QueryParameter(name, what, {"type": "string", "enum": list(known)}, default)


def several(name: str, what: str) -> QueryParameter:
    """A parameter that may be given more than once."""
    items = {"type": "string", **_TEXT}
    return QueryParameter(name, what, {"type": "array", "items": items, "maxItems": _MOST_VALUES})


def whole(name: str, text: str, least: int, most: int) -> int:
    """A whole number that text stands for.

    Raises:
        HTTPException: When it is none, or not one of those.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and least <= int(text) <= most):
        raise HTTPException(400, f"{name} is {text[:80]!r}; it can be a whole number from {least:,} to {most:,}.")
    return int(text)


def read_query(given: QueryParams, known: Sequence[QueryParameter]) -> dict[str, Any]:
    """What a query asks for, by the name of each parameter.

    Raises:
        HTTPException: When something is given that is not known, or means nothing.
    """
    unknown = set(given) - {one.name for one in known}
    if unknown:
        names = ", ".join(one.name for one in known) or "none"
        raise HTTPException(400, f"There is no parameter {min(unknown)[:80]!r}; there are: {names}.")
    return {one.name: one.read(given.getlist(one.name)) for one in known}


@dataclass(frozen=True)
class Operation:
    """Something that can be asked for.

    Attributes:
        name: What it is called; the method of the endpoint.
        path: Its address below the API's own.
        summary: What comes back, in a few words.
        answers: The schema of it; empty where it is no JSON.
        query: What may be asked besides.
        more: All else there is to say.
        media_type: What it comes as.
    """

    name: str
    path: str
    summary: str
    answers: str = ""
    query: Sequence[QueryParameter] = ()
    more: str = ""
    media_type: str = _JSON

    @property
    def addressed(self) -> list[str]:
        """What its address names."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    def to_openapi(self) -> dict[str, Any]:
        """As an OpenAPI document has it."""
        parameters = [_ADDRESSED[name] for name in self.addressed] + [one.to_openapi() for one in self.query]
        if self.name == "live":
            parameters.append(_LAST_EVENT)
        schema = schema_of(self.answers) if self.answers else {}
        good = {"description": self.summary, "content": {self.media_type: {"schema": schema}}}
        problems = {status: {"$ref": f"#/components/responses/{status}"} for status in _ERRORS}
        told = {"operationId": self.name, "summary": self.summary, "parameters": parameters}
        return {**told, "description": self.more or self.summary, "responses": {"200": good, **problems}}


_SESSION: Final = {
    "name": "session_id",
    "in": "path",
    "required": True,
    "description": "A session's id if it is plain (`[A-Za-z0-9_-][A-Za-z0-9._:@-]*`), else `~` and base64url of it.",
    "schema": {"type": "string", "minLength": 1},
}


def _number(name: str, what: str, least: int, most: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return {"name": name, "in": "path", "required": True, "description": what, "schema": schema}


MOST_BLOCKS: Final = MOST_REVISIONS // 8_192
_ADDRESSED: Final = {
    "session_id": _SESSION,
    "revision": _number("revision", "Which event of the session, from 1.", 1, MOST_REVISIONS),
    "block": _number("block", "Which block, from 0.", 0, MOST_BLOCKS),
}
_LAST_EVENT: Final = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The id of the last event that came; instead of `after`.",
    "schema": {"type": "string"},
}
_AFTER: Final = {"type": "integer", "minimum": 0, "maximum": MOST_REVISIONS}
_BEFORE: Final = {"type": "integer", "minimum": 1, "maximum": MOST_REVISIONS}
_ONE: Final = "/sessions/{session_id}"

OPERATIONS: Final[Sequence[Operation]] = (
    Operation(
        "sessions",
        "/sessions",
        "Sessions, most recently active first",
        "Sessions",
        (
            QueryParameter("q", "Text in id, agents, labels or what was said last."),
            choice("status", "What they do.", _STATUSES),
            QueryParameter("agent", "An agent, graph or swarm they have."),
            QueryParameter("label", "A label they have: `name=value`."),
            QueryParameter("since", "Only those last active then or later: ISO, or relative (-8h)."),
            QueryParameter("before", "Where the page before ended, or a time."),
            limit(50, 200),
        ),
        "A request looks through 2,000 sessions at most: a page may be short, or empty, and still have a next one.",
    ),
    Operation("session", _ONE, "A session, and how far it is checked", "SessionDetail"),
    Operation(
        "events",
        f"{_ONE}/events",
        "A page of events",
        "Events",
        (
            choice("order", "Which come first.", ("oldest", "newest"), "oldest"),
            QueryParameter("after", "Only events behind this revision.", _AFTER, 0),
            QueryParameter("before", "Only events before this revision.", _BEFORE),
            several("type", "Only of these types; `message.*` for all that begin so."),
            QueryParameter("agent", "Only of this agent."),
            limit(100, 1_000),
        ),
        "A request looks through 5,000 events at most: a page may be short, or empty, and still have a next one.",
    ),
    Operation("event", f"{_ONE}/events/{{revision}}", "One event, as it is stored", "Event"),
    Operation(
        "state",
        f"{_ONE}/state",
        "The session as it was at a point",
        "State",
        (
            QueryParameter("at", f"The point: {_POINT}. Now, if it is left out."),
            QueryParameter(
                "messages",
                "How many of each agent's last messages.",
                {"type": "integer", "minimum": 0, "maximum": 500},
                60,
            ),
        ),
    ),
    Operation(
        "diff",
        f"{_ONE}/diff",
        "What differs between two points",
        "Diff",
        (
            QueryParameter("a", f"The one point: {_POINT}.", default="1"),
            QueryParameter("b", "The other; now, if it is left out."),
        ),
    ),
    Operation(
        "turns",
        f"{_ONE}/turns",
        "Where agents were called, newest first",
        "Turns",
        (QueryParameter("before", "Only calls before this revision.", _BEFORE), limit(200, 1_000)),
    ),
    Operation(
        "timeline",
        f"{_ONE}/timeline/{{block}}",
        "A block of the timeline, in columns",
        more=_COLUMNS,
        media_type="application/octet-stream",
    ),
    Operation(
        "verify",
        f"{_ONE}/verify",
        "How far the session is checked; each request checks on",
        "Check",
        more="It holds the events against the hash chain for a tenth of a second, and goes on where that stood: ask "
        "again until `done`. All who ask share one check.",
    ),
    Operation(
        "live",
        f"{_ONE}/live",
        "What happens in the session from now on",
        query=(QueryParameter("after", "Begin behind this revision; now, if it is left out.", _AFTER),),
        more=_LIVE,
        media_type="text/event-stream",
    ),
    Operation(
        "search",
        "/search",
        "What was said that has some words, newest first",
        "Hits",
        (
            QueryParameter("q", 'Words that must all be there; AND, OR, NOT, ( ), "a phrase", begin*.'),
            QueryParameter("agent", "Only in this agent's transcripts."),
            QueryParameter("label", "Only in sessions with this label: `name=value`."),
            QueryParameter("since", "Only what was said then or later: ISO, or relative (-8h)."),
            QueryParameter("until", "Only what was said until then."),
            QueryParameter("before", "The `next` of the page before."),
            limit(20, 200),
        ),
        "Where the viewer was started with a search index; else there is nothing here (404).",
    ),
    Operation(
        "inbox",
        "/inbox",
        "Who waits for a person",
        "Inbox",
        (
            QueryParameter("agent", "Only of this agent."),
            choice("order", "Which come first.", ("oldest", "newest"), "oldest"),
            QueryParameter("before", "Where the page before ended."),
        ),
    ),
)


def document(base: str, has_token: bool) -> dict[str, Any]:
    """The document.

    Args:
        base: Where the API is.
        has_token: Whether a token is asked for.
    """
    problems = {
        status: {"description": what, "content": {PROBLEM_TYPE: {"schema": PROBLEM}}}
        for status, what in _ERRORS.items()
    }
    components: dict[str, Any] = {"schemas": SCHEMAS, "responses": problems}
    told: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "strands-session-log viewer",
            "version": __version__,
            "description": "What the viewer shows, as JSON. Nothing here writes. Bytes stand as they do in the log: "
            '`{"__bytes_encoded__": true, "data": base64}`.',
        },
        "servers": [{"url": base}],
        "paths": {one.path: {"get": one.to_openapi()} for one in OPERATIONS},
        "components": components,
    }
    if has_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        told["security"] = [{"token": []}]
    return told
