"""The feed: an envelope for every event of a namespace, never content, in one stream a partition."""

from .envelope import FIELDS, LATEST_MS, Envelope, FeedId, envelope
from .retention import FeedRetention

__all__ = ["FIELDS", "LATEST_MS", "Envelope", "FeedId", "FeedRetention", "envelope"]
