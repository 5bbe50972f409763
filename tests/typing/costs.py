"""Costs of sessions as users type them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from typing import Any

from strands_session_log import ModelPrice, Prices, SessionCost, SessionLog

log = SessionLog.connect("valkey://localhost")
own = ModelPrice("my-.*", input=1, output=5.5, cache_read=0.1, cache_write=1.25, input_includes_cache=True)
prices = Prices([own, *Prices.load().rows])
prices = Prices.load("prices.yaml")
price: ModelPrice | None = prices.price_of("my-1")
if price:
    spent: float = price.cost({"inputTokens": 3}) + price.dollars["input"]
cost: SessionCost = prices.cost_of(log, "s-42")
both: SessionCost = cost + prices.cost_of(log, "s-42", after=12, until="-1h")
told: tuple[float, int, bool, bool] = cost.dollars, cost.unpriced_tokens, cost.is_exact, cost.is_whole
as_json: dict[str, Any] = cost.to_json()
