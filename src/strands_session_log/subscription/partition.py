"""What a consumer knows of one partition."""

from __future__ import annotations

from collections.abc import Sequence

from ..concurrency import spread
from ..feed import FeedId, link_of
from ..scripts.group_protocol import FeedEntry, FetchReply, FetchRequest, Gap
from .settings import SubscriptionSettings

_COMPARE_EVERY = 2.0
"""How often one looks at least whether history stands. Entries are not trimmed that soon after they were delivered."""
_LEASED_EVERY = 1.0
_BROKEN_EVERY = 2.0
AGAIN_AT_ONCE = 100
"""As group/fetch.lua has it."""


class PartitionState:
    """One partition, as its consumer sees it; times are seconds on the monotonic clock.

    Attributes:
        partition: The partition.
        seen: The last entry of the feed known to have been delivered, as a stream id.
        has_news: Whether there may be news.
        asked_at: When it was asked last.
        due_at: When to ask again although there may be none.
        last: The last entry that was given to this consumer.
        reported_gap: The gap that was last reported.
        own: Deliveries that were given and not heard of.
        must_recover: Whether there may be such.
        has_suspects: Whether something was left out that may have killed its consumers: it is asked for alone.
        is_mine: Whether its lease is this consumer's, in ordered mode.
        is_leased_away: Whether it is another's.
        is_broken: Whether one of its keys is not what it should be.
        doubts_history: Whether to look if history stands before anything that came is handed over.
        has_work: Whether there is something to do beside the feed, once what was handed out of it is settled.
        unseen: What should have stood before what came, and was not seen: others have it, or nobody does.
    """

    def __init__(self, partition: int, settings: SubscriptionSettings) -> None:
        self.partition = partition
        self.seen, self.has_news, self.due_at, self.asked_at = "0-0", True, 0.0, 0.0
        self.last: FeedEntry | None = None
        self.reported_gap: Gap | None = None
        self.own: Sequence[bytes] = ()
        self.must_recover, self.is_mine, self.is_leased_away, self.is_broken = True, False, False, False
        self.doubts_history = self.has_work = self.has_suspects = False
        self._doubted: FeedEntry | None = None
        self.unseen: Gap | None = None
        self._has_history, self._is_begun, self._claim_at = False, False, 0.0
        self._is_ordered = settings.ordered
        self._claim_every = max(0.02, min(5.0, settings.claim_after / 4))

    def request(self, most: int, now: float, suspects: bool) -> FetchRequest:
        """What to ask for."""
        known = (self.last.id.decode(), link_of(self.last.fields)) if self.last else ("", b"")
        # What others left lying is looked for now and then.
        is_time = now >= self._claim_at
        return FetchRequest(self.partition, most, is_time, suspects, known, self.own, self._is_begun)

    def expects_news_only(self, now: float) -> bool:
        """Whether there is no need to look further than at what is new: so it is while all goes well."""
        looked_lately = now < self.due_at
        return looked_lately and not (self.must_recover or self.doubts_history or self._has_history or self._is_ordered)

    def note_news(self, given: Sequence[FeedEntry], most: int, now: float) -> None:
        """Take note of news."""
        self.has_news, self.asked_at = len(given) >= most, now
        if not given:
            return
        first, seen = FeedId.parse(self.partition, given[0].id), FeedId.parse(self.partition, self.seen)
        self._has_seen(given[-1].id.decode())
        if first.sequence <= seen.sequence:
            # A number is never used again, except by another history.
            self.doubts_history = self.has_news = True
            self._doubted = given[-1]
            return
        self.keep(given[-1])
        if first.sequence != seen.sequence + 1:
            self.unseen = Gap(self.unseen.after if self.unseen else seen, first)

    def note(self, request: FetchRequest, taken: FetchReply, now: float, has_suspects: bool) -> None:
        """Take note of an answer; and whether it left out suspects that it would not, asked alone."""
        self.asked_at = now
        # There may be more of its own than were asked for, or given, at once.
        is_full = len(request.own) >= AGAIN_AT_ONCE or len(taken.given) >= request.most
        self.has_suspects = has_suspects
        self.must_recover = bool(request.own) and (is_full or has_suspects)
        if self.doubts_history:
            self.history_stands()
        self.own, self._is_begun = (), True
        self.is_leased_away, self.is_broken = taken.status == "leased", False
        self.is_mine = not self.is_leased_away
        if taken.delivered != self.seen:
            self._has_seen(taken.delivered)
        again = sum(one.attempts > 1 for one in taken.given) + len(taken.parked)
        has_more_again = has_suspects or again >= AGAIN_AT_ONCE
        if request.claim:
            self._claim_at = now if has_more_again else now + self._claim_every
        self.has_news = has_more_again or len(taken.given) >= request.most
        self.due_at = min(self._claim_at, now + _COMPARE_EVERY)
        if taken.wait is not None:
            # Somebody else's lease may be given up before it ends.
            self.due_at = now + min(taken.wait, _LEASED_EVERY)
        self._has_history = taken.backfill not in ("", "replay")
        if taken.given and taken.given[-1].attempts == 1:
            self.keep(taken.given[-1])

    def history_stands(self) -> None:
        """Note that what was given last is still in the feed; then what came since counts, too."""
        self.doubts_history = False
        if self._doubted is not None:
            self.keep(self._doubted)
            self._doubted = None

    def _has_seen(self, stream_id: str) -> None:
        """Up to where the group was given everything; where history stands, a lower number is somebody else's."""
        if self.last is None or _number(stream_id) > _number(self.seen):
            self.seen = stream_id

    def keep(self, given: FeedEntry) -> None:
        """What was given last, which tells whether history stands; not what somebody else has put behind it."""
        if self.last is None or _number(given.id.decode()) > _number(self.last.id.decode()):
            self.last = given

    def go_on(self, now: float) -> None:
        """There may be more to do beside the feed."""
        self.due_at = min(self.due_at, now)

    def try_again_at(self, moment: float) -> None:
        """Something failed: it may be tried again then."""
        self._claim_at = min(self._claim_at, moment)
        self.due_at = min(self.due_at, moment)

    def yield_lease(self, now: float) -> None:
        """Ask again only after a while, not always the same while: whoever comes first is to vary."""
        self.has_news, self.due_at, self.asked_at = False, now + spread(_LEASED_EVERY), now
        self.is_mine, self.is_leased_away = False, True

    def connection_lost(self) -> None:
        """No answer came, or the connection was lost."""
        self.must_recover = self.doubts_history = True
        self.has_news = not self.is_broken

    def broke(self, now: float) -> None:
        """One of its keys is not what it should be: leave it alone for a while, until that is mended."""
        self.is_broken = self.must_recover = True
        self.is_mine = False
        self.has_news, self.due_at, self.asked_at = False, now + _BROKEN_EVERY, now


def _number(stream_id: str) -> int:
    return int(stream_id.rpartition("-")[2])
