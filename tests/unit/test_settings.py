"""What users set is checked where they set it; the error names what they gave, and what to give instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import valkey
from strands.types.exceptions import SessionException

from strands_session_log import (
    Durability,
    FeedRetention,
    LiveTokens,
    SessionLog,
    SessionRecorder,
    SnapshotSettings,
    Subscriber,
    ValkeySessionManager,
)
from strands_session_log.errors import InvalidSettingError, SessionLogError
from strands_session_log.subscription.settings import SubscriptionSettings

JUNK = (-1, 1.5, "many", None, True, 10**30, float("nan"), float("inf"))

CHOICES = ("start", "on_gap", "on_corrupt", "keep_errors")

Make = Callable[..., object]


def subscription(**settings: Any) -> object:
    return SubscriptionSettings(**{"group": "audit", **settings})


@pytest.mark.parametrize(
    "make",
    [
        lambda log: ValkeySessionManager("s", log=log),
        lambda log: LiveTokens(log, "s"),
        lambda log: Subscriber(log, "audit"),
    ],
)
@pytest.mark.parametrize("log", ["valkey://:s3cret@localhost", 7, valkey.Valkey(port=1)])
def test_what_is_no_log_is_refused_where_it_is_given_and_no_password_is_told(
    make: Callable[[Any], object], log: Any
) -> None:
    errors = (InvalidSettingError, SessionException)
    with pytest.raises(errors, match=r"^log=.*: give a SessionLog, as SessionLog.connect") as caught:
        make(log)
    assert "s3cret" not in str(caught.value)


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


def log(**settings: Any) -> object:
    return SessionLog(valkey.Valkey(port=1), **settings)


def manager(**settings: Any) -> object:
    return ValkeySessionManager("s", **settings)


def recorder(**settings: Any) -> object:
    return SessionRecorder("valkey://localhost:1", "s", **settings)


@pytest.mark.parametrize(
    ("make", "name", "values", "cure"),
    [
        (subscription, "ordered", ("yes", 1, None), "give True or False"),
        (subscription, "bodies", ("no", 0), "give True or False"),
        (subscription, "types", (5, ["message.*", 5], b"message.*"), "give a type"),
        (subscription, "agent", (5, b"a"), "give a str"),
        (subscription, "group", ("au dit", " audit"), "names must not contain spaces"),
        (subscription, "consumer", ("audit 1",), "names must not contain spaces"),
        *(
            (subscription, name, ("maybe", None, True, []), "give ")
            for name in ("start", "on_gap", "on_corrupt", "keep_errors")
        ),
        (log, "durability", ("disk", None, 5, "replicated:"), "give memory"),
        (log, "snapshots", (False, 64), "give a SnapshotSettings"),
        (log, "feed", (None, 3600), "give a FeedRetention"),
        (log, "allow_eviction", ("no", None), "give True or False"),
        (log, "verify_on_resume", ("no", None), "give True or False"),
        (log, "compress", ("gzip", True, ""), 'give "zstd", or None'),
        (log, "partitions", (0, -1, 1.5, "16", True, 10**6), "give a whole number from 1 to"),
        (log, "retry_for", ("long", -1, None), "must be at least"),
        (manager, "hold_user_messages", ("no", None, 1), "give True or False"),
        (manager, "verify_on_resume", ("no", 1), "give True or False"),
        (manager, "record", ("facts", None, []), "give all or state"),
        (recorder, "record", ("facts", None), "give all or state"),
        *((make, "record_prompts", ("no", None, 1), "give True or False") for make in (manager, recorder)),
        (recorder, "buffer", (0, -1, None, "all", 1.5), "give a whole number from 1 to"),
    ],
)
def test_anything_else_is_refused_with_what_to_give_instead(
    make: Make, name: str, values: Sequence[Any], cure: str
) -> None:
    for value in values:
        with pytest.raises(InvalidSettingError, match=f"^{name}=.*: {cure}") as caught:
            make(**{name: value})
        assert (caught.value.name, isinstance(caught.value, ValueError)) == (name, True)


@pytest.mark.parametrize(
    ("types", "kept"),
    [("message.*", "message.*"), *((many(["message.*"]), ("message.*",)) for many in (list, tuple, set)), ([], ())],
)
def test_types_are_one_or_several(types: Any, kept: object) -> None:
    settings: Any = subscription(types=types)
    assert settings.types == kept
    assert hash(settings)


@pytest.mark.parametrize("make", [SnapshotSettings, FeedRetention, subscription])
def test_settings_cannot_be_changed_to_what_they_could_not_be_made_with(make: Make) -> None:
    settings: Any = make()
    with pytest.raises((AttributeError, TypeError)):
        settings.points = -1
