"""The feed: an envelope for every event of a namespace, never content, in one stream a partition."""

from ..ids import FeedId
from .envelope import FIELDS, Envelope, envelope, link_of, replaced
from .retention import FeedRetention

__all__ = ["FIELDS", "Envelope", "FeedId", "FeedRetention", "envelope", "link_of", "replaced"]
