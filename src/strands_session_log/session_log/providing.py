"""What who keeps a session says of it beside what happens in it: how long it stays, and whom it is about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from ..event_log.retaining import ttl_in_ms
from .durations import duration_of
from .log import SessionLog
from .subject_keys import SubjectKeys, check_subject, subject_keys_for


def providing(
    session_id: str, ttl: timedelta | str | None, subject: str | None, url: object = None
) -> Callable[[SessionLog], None]:
    """Check what is said of a session, and say it to a log once that is there; a URL must have the key for subjects.

    Raises:
        InvalidSettingError: When the time to live, or the subject, cannot be one.
    """
    wanted = None if ttl is None else duration_of("ttl", ttl)
    if wanted is not None:
        ttl_in_ms(wanted)
    if subject is not None:
        check_subject(subject)
        if isinstance(url, str):
            SubjectKeys(subject_keys_for(url)).hashes(subject)

    def provide(log: SessionLog) -> None:
        if wanted is not None:
            log.retention.want_ttl(session_id, wanted)
        if subject is not None:
            log.subjects.want(session_id, subject)

    return provide
