"""What the models of a session cost: prices by name, of every call that the log tells of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from strands_session_log import LocalKeys, ModelPrice, Prices, SessionCost, SessionLog, events
from strands_session_log.errors import InvalidSettingError
from support.clients import Client

PRICES = Prices(
    [
        ModelPrice("big-.*", input=3, output=15, cache_read=0.3, cache_write=4),
        ModelPrice("gpt", input=2.5, output=10, cache_read=1.25, input_includes_cache=True),
        ModelPrice(".*-1", input=1000),
    ]
)


def used(**tokens: int) -> dict[str, Any]:
    return {"usage": tokens, "stop_reason": "end_turn"}


def test_each_kind_of_token_costs_what_the_first_price_that_fits_says(log: SessionLog) -> None:
    tokens = {"inputTokens": 10_000, "outputTokens": 1_000, "cacheReadInputTokens": 10_000}
    log.append("s", events.ModelCompleted({"model_id": "big-1", **used(**tokens, cacheWriteInputTokens=1_000)}, "a"))
    assert PRICES.cost_of(log, "s").dollars == pytest.approx(0.03 + 0.015 + 0.003 + 0.004)


def test_tokens_of_the_cache_are_not_paid_twice_where_the_provider_counts_them_as_input(log: SessionLog) -> None:
    log.append(
        "s", events.ModelCompleted({"model_id": "gpt", **used(inputTokens=8_000, cacheReadInputTokens=4_000)}, "a")
    )
    assert PRICES.cost_of(log, "s").dollars == pytest.approx(4_000 * 2.5e-6 + 4_000 * 1.25e-6)


def test_a_call_that_stands_in_the_end_of_its_invocation_counts_and_once(log: SessionLog) -> None:
    call = {"model_id": "big-1", **used(inputTokens=1_000_000)}
    log.append("s", events.InvocationCompleted({**call, "model_ms": 7}, "a"))
    log.append("s", [events.ModelCompleted(call, "a"), events.InvocationCompleted(call, "a")])
    assert PRICES.cost_of(log, "s") == SessionCost(6.0)


def test_tokens_of_models_without_a_price_are_told_and_cost_nothing(log: SessionLog) -> None:
    known = events.ModelCompleted({"model_id": "big-2", **used(outputTokens=100_000)}, "a")
    unnamed = events.ModelCompleted(used(inputTokens=2, outputTokens=3), "a")
    log.append("s", [known, unnamed, events.ModelCompleted({"model_id": "my-big-2", **used(inputTokens=5)}, "a")])
    cost = PRICES.cost_of(log, "s")
    assert (cost, cost.is_whole) == (SessionCost(1.5, unpriced_tokens=10), False)


def test_what_is_no_count_of_tokens_spoils_no_sum(log: SessionLog) -> None:
    for usage in ({"inputTokens": -7, "outputTokens": "many"}, {"inputTokens": True, "outputTokens": 1e300}, "none", 7):
        log.append("s", events.ModelCompleted({"model_id": "big-1", "usage": usage}, "a"))
    log.append("s", events.ModelCompleted({"model_id": ["big-1"], "usage": {"inputTokens": 4}}, "a"))
    assert PRICES.cost_of(log, "s") == SessionCost(unpriced_tokens=4, is_exact=False)


def test_a_session_without_calls_and_one_that_is_not_there_cost_nothing(log: SessionLog) -> None:
    log.append("s", events.Custom("custom.note", {}))
    assert PRICES.cost_of(log, "s") == PRICES.cost_of(log, "nowhere") == SessionCost(0.0)


def test_what_cannot_be_read_any_more_makes_the_cost_inexact(client: Client, namespace: str, tmp_path: Path) -> None:
    sealed = SessionLog(client, namespace, encryption=LocalKeys.new(tmp_path / "keys"))
    sealed.append("s", events.ModelCompleted({"model_id": "big-1", **used(inputTokens=1_000_000)}, "a"))
    assert PRICES.cost_of(sealed, "s") == SessionCost(3.0)
    assert PRICES.cost_of(SessionLog(client, namespace), "s") == SessionCost(is_exact=False)


def test_a_model_that_tells_of_no_tokens_makes_the_cost_inexact(log: SessionLog) -> None:
    untold: list[Any] = [None, {}, "many"]
    for usage in untold:
        log.append("s", events.ModelCompleted({"model_id": "big-1", "usage": usage}, "a"))
        assert PRICES.cost_of(log, "s") == SessionCost(is_exact=False)


def test_the_list_prices_fit_the_names_that_providers_give_their_models() -> None:
    prices = Prices.load()
    expected = {
        "us.anthropic.claude-sonnet-4-20250514-v1:0": (3, 15),
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0": (3, 15),
        "claude-sonnet-5-5": (2, 10),
        "claude-opus-4-1-20250805": (15, 75),
        "claude-opus-4-8": (5, 25),
        "us.anthropic.claude-opus-5-5-v1:0": (4, 20),
        "us.amazon.nova-2-lite-v1:0": (0.3, 2.5),
        "amazon.nova-lite-v1:0": (0.06, 0.24),
        "gpt-4o-2024-11-20": (2.5, 10),
        "openai/gpt-5-mini-2025-08-07": (0.25, 2),
        "gpt-5-2025-08-07": (1.25, 10),
        "gpt-5.4-mini": (0.75, 4.5),
        "gpt-5.6-sol": (4, 20),
    }
    found = {name: (price.input, price.output) for name in expected if (price := prices.price_of(name))}
    assert found == expected
    assert [prices.price_of(name) for name in ("gpt-4o-audio-preview", "gpt-5.5-pro", "llama", "", None)] == [None] * 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {model: a, input: -1}", "input=-1"),
        ("- {model: a, output: much}", "output='much'"),
        ("- {model: a, output: yes}", "output=True"),
        ("- {model: a, input_includes_cache: 3}", "give true or false"),
        ("- {model: [", "cannot be read"),
        ("- {model: a, input: 2026-99-99}", "cannot be read"),
        ("[" * 3_000, "cannot be read"),
        ("- {model: '(', input: 1}", "give a regular expression"),
        ("- {model: a, outputs: 1}", "unknown: outputs"),
        ("- {input: 1}", "give a list of rows"),
        ("model: a", "give a list of rows"),
    ],
)
def test_what_is_no_price_is_named(text: str, said: str, tmp_path: Path) -> None:
    table = tmp_path / "prices.yaml"
    table.write_text(text)
    with pytest.raises(InvalidSettingError) as raised:
        Prices.load(table)
    assert said in str(raised.value)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match=r"nowhere\.yaml.*cannot be read"):
        Prices.load(tmp_path / "nowhere.yaml")


def test_no_call_costs_less_than_nothing() -> None:
    price = ModelPrice("a", input=2, cache_read=1, input_includes_cache=True)
    assert price.cost({"inputTokens": 1_000_000, "cacheReadInputTokens": 400_000}) == pytest.approx(1.6)
    assert price.cost({"inputTokens": 1, "cacheReadInputTokens": 400_000}) == 0
