"""Playing back: how long is waited, and how that is said. Nothing here waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
import typer

from strands_session_log.cli.playback import Shortened, pace, seconds
from strands_session_log.cli.terminal import offset
from strands_session_log.ids import EventId

HOUR = 3_600_000


class Said(NamedTuple):
    id: EventId
    text: str


def said(*timed: tuple[int, str]) -> Iterator[Said]:
    for revision, (ms, text) in enumerate(timed, 1):
        yield Said(EventId(ms, revision), text)


def played(*timed: tuple[int, str], speed: float = 1.0, max_pause: float = 5.0) -> list[object]:
    """What comes, and for how long was waited before it, in order."""
    happened: list[object] = []
    for one in pace(said(*timed), speed, max_pause, happened.append):
        happened += [one if isinstance(one, Shortened) else one.text]
    return happened


def test_things_come_as_long_after_each_other_as_they_happened() -> None:
    assert played((1_000, "a"), (1_500, "b"), (1_500, "c"), (4_500, "d")) == ["a", 0.5, "b", "c", 3.0, "d"]


def test_ten_times_faster_waits_a_tenth() -> None:
    assert played((0, "a"), (2_000, "b"), speed=10) == ["a", 0.2, "b"]


def test_a_long_pause_is_shortened_and_said_to_be_before_it_is_waited_for() -> None:
    assert played((0, "a"), (HOUR, "b")) == ["a", Shortened(3_600, 5), 5, "b"]
    assert played((0, "a"), (HOUR, "b"), speed=1_000) == ["a", 3.6, "b"]


def test_with_no_pause_at_all_nothing_is_waited_for() -> None:
    assert played((0, "a"), (1_000, "b"), max_pause=0) == ["a", Shortened(1, 0), "b"]


def test_a_clock_that_went_back_is_not_waited_for() -> None:
    assert played((2_000, "a"), (1_000, "b"), (1_500, "c")) == ["a", "b", 0.5, "c"]


def test_what_comes_later_is_not_read_before_its_turn() -> None:
    source = said((1, "a"), (2, "b"), (3, "c"))

    next(pace(source, 1, 5))

    assert [one.text for one in source] == ["b", "c"]


@pytest.mark.parametrize(
    ("text", "meant"), [("5", 5), ("5s", 5), ("500ms", 0.5), ("1.5m", 90), ("2 h", 7_200), ("0", 0)]
)
def test_durations_are_understood(text: str, meant: float) -> None:
    assert seconds(text) == meant


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5 parsecs", "1e9", "nan"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (0, "+0.0s"),
        (430, "+0.4s"),
        (59_999, "+59.9s"),
        (65_000, "+1:05"),
        (2 * HOUR + 184_000, "+2:03:04"),
        (74 * HOUR, "+3d 2:00:00"),
        (-1, "+0.0s"),
    ],
)
def test_the_time_since_the_beginning_is_short(milliseconds: int, said: str) -> None:
    assert offset(milliseconds) == said
