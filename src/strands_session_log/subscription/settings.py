"""How a subscription is to be read."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from ..errors import (
    InvalidSettingError,
    check_choice,
    check_flag,
    check_kind,
    check_seconds,
    check_whole,
)
from ..ids import check_id

Start: TypeAlias = Literal["feed", "now", "beginning"]
"""Where a new group begins: with what the feed holds, with what comes, or with all that the sessions hold."""
OnGap: TypeAlias = Literal["raise", "catch_up", "skip"]
"""What to do when envelopes are gone that were not delivered."""
OnCorrupt: TypeAlias = Literal["continue", "raise"]
"""What to do about an entry of the feed that is not what it should be, besides parking it."""
KeepErrors: TypeAlias = Literal["place", "full"]
"""What is kept of an exception: its type and place, or its text, too."""

_CHOICES = {"start": Start, "on_gap": OnGap, "on_corrupt": OnCorrupt, "keep_errors": KeepErrors}


def consumer_name() -> str:
    """A name that tells where a consumer runs, and that no other has."""
    return f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"


def _types(given: object) -> str | tuple[str, ...] | None:
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, Collection) and all(isinstance(one, str) for one in given):
        return tuple(given)
    raise InvalidSettingError("types", given, "give a type (message.added), a family (message.*), or several of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSettings:
    """See `Subscriber`, whose arguments these are; durations are in seconds."""

    group: str
    consumer: str = field(default_factory=consumer_name)
    start: Start = "feed"
    ordered: bool = False
    types: str | Sequence[str] | None = None
    agent: str | None = None
    bodies: bool = False
    batch: int = 100
    in_flight: int = 0
    claim_after: float = 30.0
    max_attempts: int = 5
    backoff: float = 0.5
    timeout: float = 300.0
    on_gap: OnGap = "raise"
    on_corrupt: OnCorrupt = "continue"
    keep_errors: KeepErrors = "place"

    def __post_init__(self) -> None:
        check_id("group", self.group)
        check_id("consumer", self.consumer)
        for name in ("group", "consumer"):
            if any(map(str.isspace, getattr(self, name))):
                raise InvalidSettingError(name, getattr(self, name), "names must not contain spaces")
        object.__setattr__(self, "types", _types(self.types))
        if self.agent is not None:
            check_kind("agent", self.agent, str)
        for name in ("ordered", "bodies"):
            check_flag(name, getattr(self, name))
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), get_args(choices))
        for name, least in (("batch", 1), ("in_flight", 0), ("max_attempts", 1)):
            check_whole(name, getattr(self, name), least)
        for name, least_seconds in (("claim_after", 0.05), ("backoff", 0.0), ("timeout", 0.01)):
            check_seconds(name, getattr(self, name), least_seconds)

    @property
    def most_in_flight(self) -> int:
        """How many deliveries may be unsettled at once: a few batches, and not too few, unless told otherwise."""
        return self.in_flight or max(4 * self.batch, 100)

    @property
    def least_room(self) -> int:
        """For how many more there must be room before they are fetched: not for every single one."""
        return max(1, min(self.batch, self.most_in_flight // 2))

    @property
    def claim_after_ms(self) -> int:
        """After how many milliseconds without a word a delivery may be taken over."""
        return round(self.claim_after * 1000)

    @property
    def lease(self) -> float:
        """For how many seconds a delivery is certainly its consumer's: a little less than `claim_after`."""
        return 0.9 * self.claim_after

    def pause_ms(self, attempts: int) -> int:
        """How long a failed delivery waits: twice as long each time, and never longer than a claim takes."""
        return min(self.claim_after_ms, round(self.backoff * 1000 * 2.0 ** min(attempts - 1, 20)))
