"""What a viewer may be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from strands_session_log import Prices


@dataclass(frozen=True, kw_only=True)
class ViewerSettings:
    """How the viewer is served.

    Attributes:
        token: What a browser has to show once before anything is shown; None to ask for nothing.
        hosts: Names under which it may be asked for, besides those of this machine. `*` for any, behind a proxy.
        allow_write: Whether fork, rewind and erase may be used.
        answer_url: Where people's answers to interrupts are sent; empty to show how to answer in code.
        answer_secret: With which these are signed (HMAC-SHA256); empty to sign nothing.
        answers: By the name of an interrupt, answers to choose from: what they are called, and what is sent.
        mask: Whether what looks like a key or a password is hidden until it is clicked; a courtesy at the eye only.
        access_log: Where each look is noted, a line of JSON each; None for nowhere.
        user_header: The header in which a proxy says who asks, for the access log; empty to believe none.
        prices: What models cost, for the list to tell what each session did; None for a list without costs.
        search_index: The index that `session-log index` keeps, a file or a `postgresql://` URL; empty for no page to
            search.
    """

    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    allow_write: bool = False
    answer_url: str = ""
    answer_secret: str = field(default="", repr=False)
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mask: bool = True
    access_log: TextIO | None = None
    user_header: str = ""
    prices: Prices | None = None
    search_index: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: When answers are to go to something else than an address on the web.
        """
        if self.answer_url and urlsplit(self.answer_url).scheme not in ("http", "https"):
            raise ValueError(f"answer_url={self.answer_url!r}: give an address that begins with https:// or http://")


STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"
