"""What a bundle says of its session, and whether it is whole: read from the file alone."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import IO, Any, BinaryIO
from zipfile import BadZipFile, ZipFile

from strands_session_log import Anchor, EventId, verify_bundle
from strands_session_log.errors import ArchivedCopyError, BundleError

from .records import ArchivedSession

_MAGIC = b"\x9eSLE"
"""What encrypted content begins with, see docs/format.md."""
_PATH = "sessions/0001"


def described(bundle: BinaryIO, where: str) -> ArchivedSession:
    """What an archive says of a bundle of one session.

    Args:
        bundle: The bundle.
        where: Where it is, for people.

    Raises:
        ArchivedCopyError: When it is no such bundle.
    """
    size = bundle.seek(0, 2)
    try:
        with ZipFile(bundle) as archive:
            about = json.loads(archive.read(f"{_PATH}/session.json"))
            with archive.open(f"{_PATH}/events.jsonl") as lines:
                first_link, is_encrypted = _walked(lines)
        at = EventId(_ms(about["last_event_at"]), about["revision"])
        told = (about["session_id"], about["revision"], about["link"], first_link, at, _time(about["created_at"]))
        now = datetime.now(timezone.utc).replace(microsecond=0)
        return ArchivedSession(*told, now, about["erased"], size, is_encrypted)
    except (BadZipFile, OSError, EOFError, ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise ArchivedCopyError(where, f"it is no bundle of a session: {error}") from error


def problems_of_copy(bundle: BinaryIO, anchor: Anchor) -> list[str]:
    """What is wrong with a bundle that is to be of one session up to a link: all of it is verified, offline.

    Args:
        bundle: Opened for reading; it must seek.
        anchor: Where the session stood.

    Returns:
        A line each; none where it is as it was written, with nothing withheld.
    """
    try:
        report = verify_bundle(bundle, expect=[anchor])
    except BundleError as error:
        return [str(error)]
    found = [str(one) for one in report.problems]
    if [one.session_id for one in report.sessions] != [anchor.session_id]:
        return [*found, f"it is not of session {anchor.session_id!r} alone"]
    (told,) = report.sessions
    found += [str(one) for one in told.problems]
    if (told.revision, told.link) != (anchor.revision, anchor.link):
        found.append(f"it ends with {told.revision}:{told.link}, not with {anchor.revision}:{anchor.link}")
    if told.withheld:
        found.append(f"content of {told.withheld:,} events is withheld")
    return found


def _walked(lines: IO[bytes] | Iterable[bytes]) -> tuple[str, bool]:
    """The first link, and whether all content is encrypted that is there."""
    first, is_encrypted = "", True
    for line in lines:
        event = json.loads(line)
        first = first or event["link"]
        is_encrypted = is_encrypted and _is_sealed(event)
    return first, is_encrypted


def _is_sealed(event: Any) -> bool:
    if not event["salt"]:
        return True
    body = event.get("body_base64")
    return isinstance(body, str) and b64decode(body[:8]).startswith(_MAGIC)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _ms(text: str) -> int:
    at = _time(text)
    return int(at.replace(microsecond=0).timestamp()) * 1000 + at.microsecond // 1000
