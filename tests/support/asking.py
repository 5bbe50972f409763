"""Asks a viewer without a browser: pages, and forms as people fill them in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

from starlette.testclient import TestClient

from strands_session_log import SessionLog
from strands_session_log_consumers.viewer import ViewerSettings, app

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
_FORM = re.compile(r"<form[^>]*>.*?</form>", re.DOTALL)
_BLOCK = re.compile(r"</?(?:p|li|ul|ol|h\d|d[tdl]|div|label|button|summary)\b[^>]*>")
_TAG = re.compile(r"<[^>]+>")


@contextmanager
def asking(log: SessionLog, **settings: Any) -> Iterator[TestClient]:
    """Somebody who asks a viewer of a log."""
    with TestClient(app(log, settings=ViewerSettings(**settings)), base_url="http://localhost") as client:
        yield client


def form_of(html: str, action: str = "", method: str = "post") -> dict[str, str]:
    """What the form of a page that is sent to an address brings by itself."""
    (form,) = [one for one in _FORM.findall(html) if f'method="{method}"' in one and f'action="{action}' in one]
    return {unescape(name): unescape(value) for name, value in _HIDDEN.findall(form)}


def words_of(html: str) -> str:
    """What somebody reads on a page."""
    return " ".join(unescape(_TAG.sub("", _BLOCK.sub(" ", html.partition("<main")[2] or html))).split())
