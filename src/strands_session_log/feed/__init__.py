"""The feed: an envelope for every event of a namespace, never content, in one stream a partition."""

from ..ids import FeedId
from .envelope import (
    FIELDS,
    NO_EVENTS,
    Envelope,
    are_envelopes,
    check_fields,
    envelope,
    envelope_of,
    link_of,
    replaced,
    surely_tell,
    tells_of,
)
from .retention import FeedRetention

__all__ = [
    "FIELDS",
    "NO_EVENTS",
    "Envelope",
    "FeedId",
    "FeedRetention",
    "are_envelopes",
    "check_fields",
    "envelope",
    "envelope_of",
    "link_of",
    "replaced",
    "surely_tell",
    "tells_of",
]
