"""What a command from elsewhere may use, see `plugins`: the options all commands have, and the log they lead to."""

from __future__ import annotations

from .context import opened
from .exit_codes import Code, fail
from .options import PANEL, JsonOption, NamespaceOption, UrlOption

__all__ = ["PANEL", "Code", "JsonOption", "NamespaceOption", "UrlOption", "fail", "opened"]
