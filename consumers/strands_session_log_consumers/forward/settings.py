"""What a forwarder can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ForwardSettings:
    """What is forwarded, and for how long that is tried.

    Attributes:
        group: The consumer group; forwarders of the same one share the work.
        consumer: A name of this forwarder's own in the group; made up if None.
        types: Only events of these types; all if empty.
        agent: Only events of this agent.
        content: Whether their content is sent, or only what the feed tells of them.
        ordered: Whether those of a session are sent one after the other.
        start: Where a group begins that is new.
        concurrency: How many are sent at once.
        timeout: For how many seconds the receiver may take to answer.
        max_attempts: How often an event is tried before it is parked.
        backoff: For how many seconds the first pause takes; each time twice as long.
        longest_pause: For how many at most.
        patience: For how many seconds a receiver that is away is waited for before that counts against an event.
        claim_after: After how many seconds without a sign of life others of the group take over.
    """

    group: str = "forward"
    consumer: str | None = None
    types: Sequence[str] = ()
    agent: str | None = None
    content: bool = False
    ordered: bool = False
    start: Literal["now", "feed", "beginning"] = "feed"
    concurrency: int = 8
    timeout: float = 15.0
    max_attempts: int = 8
    backoff: float = 1.0
    longest_pause: float = 60.0
    patience: float = 3_600.0
    claim_after: float = 60.0
