"""A session as one page in one file: the same conversation and timeline, without a server, for a ticket or a court."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

import orjson
from jinja2 import Environment
from markupsafe import Markup

from strands_session_log import Progress, SessionLog, SessionState, Verification, __version__, evolve
from strands_session_log.errors import SessionNotFoundError

from ..content.blocks import file_of
from ..content.media import Media
from ..conversation.index import BLOCK
from ..conversation.reading import Conversation, Point
from ..conversation.talk import STRETCH, Stretch, stretch_of
from ..conversation.window import held_in
from ..rendering import KEYS, environment
from .scripts import icon, policy, scripts, style
from .states import SinglePageStates

MOST_EVENTS: Final = 5_000
MOST_IMAGE_BYTES: Final = 64 * 1024 * 1024
"""Of all images together; those beyond are named, not shown."""
_AT_ONCE: Final = 8
"""Stretches that are read together: each is drawn with what stands beside it."""
_WITHOUT_SERVER: Final = frozenset(
    ("verify", "pin A, B", "difference", "the event as stored", "copy link", "copy the message as Markdown")
)
_LIST_KEYS: Final = "sessions, inbox"


class SinglePageError(ValueError):
    """A session has more events than a page in a file takes."""

    def __init__(self, session_id: str, count: int) -> None:
        self.session_id, self.count = session_id, count
        super().__init__(
            f"session {session_id!r} has {count:,} events, and a page takes {MOST_EVENTS:,} at most: export a fork of "
            f"its beginning (`session-log fork --at {MOST_EVENTS}`), or look at all of it with `session-log view`"
        )


@dataclass
class SinglePage:
    """Makes the page of a session as it stands now.

    Args:
        log: Where the session is.
        session_id: The session.
        progress: Told how far it has come: of twice the events, as they are verified before they are shown.

    Raises:
        SessionNotFoundError: When there is no such session.
        SinglePageError: When it has too many events.
    """

    log: SessionLog
    session_id: str
    progress: Progress = lambda done, total: None
    _images: dict[tuple[int, int], str] = field(default_factory=dict)
    _image_bytes: int = 0

    def __post_init__(self) -> None:
        self._templates: Environment = environment()
        self._conversation = Conversation(self.log, self.session_id)
        self._head = self._conversation.head().revision
        if not self._head:
            raise SessionNotFoundError(self.session_id)
        if self._head > MOST_EVENTS:
            raise SinglePageError(self.session_id, self._head)
        self._made = datetime.now(timezone.utc)

    def chunks(self) -> Iterator[bytes]:
        """The page, piece by piece.

        Raises:
            LogForkedError: When the session was deleted or replaced while it was read.
        """
        verification = self.log.verify(self.session_id, self._verified)
        yield from (text.encode() for text in self._generated(verification))
        self.progress(2 * self._head, 2 * self._head)

    def _verified(self, done: int, total: int) -> None:
        self.progress(min(done, self._head), 2 * self._head)

    def _generated(self, verification: Verification) -> Iterator[str]:
        list(self._conversation.indexed(self._head))
        point, state = Point(self._head, self._head, follows=True), self._state()
        return self._templates.get_template("single_page.html").generate(
            **self._shown(),
            point=point,
            state=state,
            **held_in(state),
            info=self.log.session(self.session_id),
            link=state.link,
            made=self._made,
            version=__version__,
            verification=verification,
            stretches=self._conversation.around(self._head, self._head),
            page_data=self._data,
            key_help=[one for one in KEYS if one[1] not in _WITHOUT_SERVER and one[1] != _LIST_KEYS],
            policy=policy(),
            icon=icon(),
            style=Markup(style()),
            scripts=[Markup(one) for one in scripts()],
        )

    def _shown(self) -> dict[str, Any]:
        return {
            "kept": True,
            "nonce": "",
            "page": "session",
            "session_id": self.session_id,
            "moved": False,
            "stretch_size": STRETCH,
            "block_size": BLOCK,
            "path": lambda path: "",
            "here": lambda at=None: f"#at={at}" if at else "#",
            "blob": self._inside,
            "drawn": self._stretch,
        }

    def _state(self) -> SessionState:
        return self._conversation.state(self._head)

    def _data(self) -> Iterator[tuple[str, Markup]]:
        """What the scripts of the page read, as it is drawn."""
        yield "timeline", _json(base64.b64encode(self._conversation.block(0, self._head).encoded()).decode())
        lists = self._conversation.turn_lists()
        drawn = [self._drawn("turns.html", found=one) for one in lists]
        yield "turns", _json({"since": [one.since for one in lists], "lists": drawn})
        for found in self._stretches():
            self.progress(self._head + found.last, 2 * self._head)
            yield f"stretch-{found.number}", _json(self._stretch(found))
        yield "states", _json(self._states().to_json())

    def _stretches(self) -> Iterator[Stretch]:
        for first in range(0, stretch_of(self._head) + 1, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, stretch_of(self._head) + 1))
            yield from self._conversation.stretches(numbers, self._head)

    def _stretch(self, stretch: Stretch) -> Markup:
        """As it is drawn; the last ones stand in the page, and are data besides."""
        return self._conversation.drawn(stretch, "", lambda one: Markup(self._drawn("stretch.html", stretch=one)))

    def _drawn(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**self._shown(), **values)

    def _states(self) -> SinglePageStates:
        state, found = SessionState(), SinglePageStates(self._templates)
        for recorded in self.log.read(self.session_id, None, self._head):
            state = evolve(state, recorded)
            found.add(state)
        return found

    def _inside(self, item: Any, media: Media) -> str:
        """An image as an address that has all of it; nothing for what is no image by its bytes, or one too many."""
        if media.element != "img" or not media.size:
            return ""
        revision = int(item["revision"] if isinstance(item, dict) else item.revision)
        known = self._images.get((revision, media.number))
        if known is None:
            self._image_bytes += media.size
            found = self._image(revision, media) if self._image_bytes <= MOST_IMAGE_BYTES else ""
            known = self._images[revision, media.number] = found
        return known

    def _image(self, revision: int, media: Media) -> str:
        event = self.log.event(self.session_id, revision).event
        found = file_of(_message_of(event.data), media.number) if event.has_content else None
        if found is None or found[0].sha256 != media.sha256:
            return ""
        return f"data:{media.media_type};base64,{base64.b64encode(found[1]).decode()}"


def _message_of(data: Any) -> Any:
    return data.get("redact_message") or data.get("message")


def _json(value: Any) -> Markup:
    """JSON that ends no element it stands in."""
    return Markup(orjson.dumps(value).decode().replace("<", "\\u003c"))
