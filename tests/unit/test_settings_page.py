"""`docs/settings.md` has every setting there is, with the default that holds."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import (
    FeedRetention,
    LiveTokens,
    SessionLog,
    SessionRecorder,
    SnapshotSettings,
    Subscriber,
    ValkeySessionManager,
)
from strands_session_log.keys import DEFAULT_PARTITIONS
from strands_session_log.session_log.settings import LogSettings
from strands_session_log.subscription.settings import SubscriptionSettings
from strands_session_log_consumers.agui.settings import AguiSettings
from strands_session_log_consumers.mcp import McpSettings
from strands_session_log_consumers.viewer.settings import ViewerSettings

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
BESIDES = {"log", "client", "url", "session_id"}
DOCUMENTED = {
    "SessionLog": SessionLog,
    "SnapshotSettings": SnapshotSettings,
    "FeedRetention": FeedRetention,
    "ValkeySessionManager": ValkeySessionManager,
    "SessionRecorder": SessionRecorder,
    "LiveTokens": LiveTokens,
    "Subscriber": Subscriber,
    "ViewerSettings": ViewerSettings,
    "McpSettings": McpSettings,
    "AguiSettings": AguiSettings,
}


def on_page(name: str) -> dict[str, str]:
    """The settings of a section, with what stands as default."""
    section = re.split(r"^## ", PAGE.split(f"## `{name}`\n")[1], flags=re.MULTILINE)[0]
    return dict(re.findall(r"^\| `(\w+)` \| ?(.*?) ?\| ", section, flags=re.MULTILINE))


def settings_of(function: Callable[..., object]) -> dict[str, Any]:
    """Names and defaults of all that can be set."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.name not in BESIDES}


def as_written(default: object) -> str:
    """How a default is written on the page, if not in words; nothing where there is none."""
    if default is inspect.Parameter.empty:
        return ""
    if default == () or repr(default) == "<factory>":
        return "`()`" if default == () else "`{}`"
    if isinstance(default, bool):
        return f"`{default}`"
    if isinstance(default, (int, float)):
        return f"{default:,g}" if default < 10**5 else f"{default:,.0f}"
    return f'`"{default}"`' if isinstance(default, str) else f"`{type(default).__name__}()`"


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_setting_is_on_the_page_with_its_default(name: str) -> None:
    written, there = on_page(name), settings_of(DOCUMENTED[name])
    assert list(written) == list(there)
    for setting, default in there.items():
        value, rest = written[setting].split(" ")[0].rstrip(":"), written[setting]
        assert value == as_written(default) or (default is None and rest), setting


def test_a_new_namespace_has_as_many_partitions_as_the_page_says() -> None:
    assert on_page("SessionLog")["partitions"] == f"{DEFAULT_PARTITIONS} for a new namespace"


def test_connect_takes_what_the_log_itself_takes() -> None:
    assert settings_of(SessionLog.connect) == settings_of(SessionLog)
    assert set(LogSettings.__annotations__) == set(settings_of(SessionLog)) - {"namespace"}


def test_a_subscriber_takes_the_settings_of_a_subscription() -> None:
    there = settings_of(Subscriber)
    fields = SubscriptionSettings.__dataclass_fields__
    assert sorted(there) == sorted(fields)
    assert {name: fields[name].default for name in there if name not in ("group", "consumer")} == {
        name: default for name, default in there.items() if name not in ("group", "consumer")
    }


@pytest.mark.parametrize("batch", [1, 10, 100, 1000])
def test_four_batches_and_at_least_a_hundred_are_in_flight_unless_told_otherwise(batch: int) -> None:
    assert on_page("Subscriber")["in_flight"] == "0: four batches, and at least 100"
    assert SubscriptionSettings(group="audit", batch=batch).most_in_flight == max(4 * batch, 100)
    assert SubscriptionSettings(group="audit", batch=batch, in_flight=7).most_in_flight == 7


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_setting_is_told_of_where_it_is_given(name: str) -> None:
    kind = DOCUMENTED[name]
    for setting in settings_of(kind):
        assert re.search(
            rf"^        {setting}: ", (inspect.getdoc(kind) or "").replace("\n", "\n    "), re.MULTILINE
        ), setting
