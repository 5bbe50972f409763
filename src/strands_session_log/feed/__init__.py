"""The feed: an envelope for every event of a namespace, never content, in one stream a partition."""

from .envelope import Envelope, FeedId, envelope

__all__ = ["Envelope", "FeedId", "envelope"]
