"""What writers do for the log in passing."""

from __future__ import annotations

import logging
import random

from ..concurrency import Background
from ..errors import SessionLogError
from ..event_log import EventLog

logger = logging.getLogger(__name__)

_EVERY = 1000


class Upkeep:
    """Trims the feed now and then, so that it stays within its cap though it has no subscriber.

    About every thousandth append, in any process: those that live too short to count to a thousand do their part.

    Args:
        events: The log.
    """

    def __init__(self, events: EventLog) -> None:
        self._events, self._background = events, Background("trimming")
        events.on_append.append(self._appended)

    def close(self) -> None:
        """Do no more."""
        self._background.close()

    def _appended(self, session_id: str, revision: int) -> None:
        if random.random() * _EVERY < 1:
            partition = self._events.keyspace.partition(session_id)
            self._background.submit(str(partition), lambda: self._trim(partition))

    def _trim(self, partition: int) -> None:
        try:
            self._events.trim_feed(partition)
        except SessionLogError as error:
            logger.warning("partition=<%d>, error=<%s> | the feed was not trimmed", partition, error)
