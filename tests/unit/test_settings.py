"""What users set is checked where they set it; the error names what they gave, and what to give instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from strands_session_log import Durability, FeedRetention, SnapshotSettings
from strands_session_log.errors import SessionLogError
from strands_session_log.subscription.settings import SubscriptionSettings

JUNK = (-1, 1.5, "many", None, True, 10**30, float("nan"), float("inf"))

Make = Callable[..., object]


def subscription(**settings: Any) -> object:
    return SubscriptionSettings(group="audit", **settings)


@pytest.mark.parametrize("value", [*JUNK, 0])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        *((SnapshotSettings, name) for name in ("threshold", "segment", "points", "spacing")),
        (FeedRetention, "max_length"),
        *((subscription, name) for name in ("batch", "in_flight", "max_attempts")),
        *((Durability.replicated, name) for name in ("replicas", "timeout_ms")),
        *((Durability.fsync, name) for name in ("replicas", "timeout_ms")),
    ],
)
def test_a_count_is_a_whole_number_within_bounds(make: Make, name: str, value: Any) -> None:
    if (
        value == 0
        and value is not False
        and (name in ("points", "in_flight") or (make, name) == (Durability.fsync, "replicas"))
    ):
        return
    needs = {"replicas": 1} if make == Durability.replicated and name != "replicas" else {}
    with pytest.raises(SessionLogError, match=f"^{name}=.*: give a whole number from [01] to [0-9,]+$"):
        make(**{name: value}, **needs)


@pytest.mark.parametrize("value", [-1, "long", None, True, 1e300, float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        *((FeedRetention, name) for name in ("keep", "max_age", "abandoned_after")),
        *((subscription, name) for name in ("claim_after", "backoff", "timeout")),
    ],
)
def test_a_duration_is_a_number_of_seconds_within_bounds(make: Make, name: str, value: Any) -> None:
    with pytest.raises(SessionLogError, match=rf"^{name}=.*: must be at least [0-9.]+ seconds, and at most [0-9,]+$"):
        make(**{name: value})


@pytest.mark.parametrize("make", [SnapshotSettings, FeedRetention, subscription])
def test_settings_cannot_be_changed_to_what_they_could_not_be_made_with(make: Make) -> None:
    settings: Any = make()
    with pytest.raises((AttributeError, TypeError)):
        settings.points = -1
