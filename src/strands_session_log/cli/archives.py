"""The archive that a command looks into: what installed packages add.

An entry point in `strands_session_log.archives` makes an `Archive` of a URL. The first one is taken, by name.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated

from .. import Archive
from .exit_codes import Code, fail
from .options import PANEL, option

GROUP = "strands_session_log.archives"
VARIABLE = "SESSION_LOG_ARCHIVE"
_HELP = "The archive of sessions to look into, too: a directory, or s3://bucket/prefix."

SearchedArchiveOption = Annotated[str | None, option("--archive", "URL", _HELP, envvar=VARIABLE, rich_help_panel=PANEL)]


def archive_at(url: str | None) -> Archive | None:
    """The archive at a URL; None if there is none."""
    if not url:
        return None
    found = sorted(entry_points(group=GROUP), key=lambda one: one.name)
    if not found:
        fail(Code.USAGE, "no installed package can open an archive")
    archive: Archive = found[0].load()(url)
    return archive
