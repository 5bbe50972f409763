"""PromQL that panels have in common."""

from __future__ import annotations

PREFIX = "strands_session_log"
PRICE = f"model:{PREFIX}_token_price_dollars:max"
"""What a token costs, by model and kind, as `prices.py` records it."""


def rate(metric: str, by: str = "", where: str = "") -> str:
    """How many a second, of all processes together."""
    return f"sum{_by(by)} (rate({PREFIX}_{metric}{_where(where)}[$__rate_interval]))"


def within_range(metric: str, by: str = "", where: str = "") -> str:
    """How many in the time range that is shown."""
    return f"sum{_by(by)} (increase({PREFIX}_{metric}{_where(where)}[$__range]))"


def quantile(share: float, metric: str, by: str = "", where: str = "") -> str:
    """What so many of a histogram stay below."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', f'le, {by}' if by else 'le', where)})"


def percentiles(metric: str, where: str = "") -> dict[str, str]:
    """The usual three, by their names."""
    return {f"p{share * 100:g}": quantile(share, metric, where=where) for share in (0.5, 0.95, 0.99)}


def in_the_last(window: str, metric: str, by: str = "", where: str = "") -> str:
    """How many in the time before each point."""
    return f"sum{_by(by)} (increase({PREFIX}_{metric}{_where(where)}[{window}]))"


def mean(metric: str, by: str = "") -> str:
    """The mean of a histogram in the time range that is shown."""
    return f"{within_range(f'{metric}_sum', by)} / {within_range(f'{metric}_count', by)}"


def cost(window: str, by: str, where: str) -> str:
    """Dollars that were spent in a window, of models that have a price."""
    # A model that was not used since its exporter began anew has a price no more, but had one.
    return f"sum{_by(by)} ({_tokens(window, where)} * on (model, kind) group_left () {_price(window)})"


def tokens_without_price(window: str, where: str) -> str:
    """Tokens in a window, by model, of models that have none."""
    return f"sum by (model) ({_tokens(window, where)} unless on (model, kind) {_price(window)})"


def _tokens(window: str, where: str) -> str:
    return f"sum by (agent, model, kind) (increase({PREFIX}_tokens_total{{{where}}}[{window}]))"


def _price(window: str) -> str:
    return f"max by (model, kind) (last_over_time({PRICE}[{window}]))"


def first_used(where: str) -> str:
    """The models that an agent did not use in the day before, in the first minutes in which it does."""
    used = f"{PREFIX}_tokens_total{{{where}}}"
    return (
        f"group by (agent, model) ({used}) "
        f"unless on (agent, model) group by (agent, model) (last_over_time({used}[1d] offset 5m))"
    )


def started() -> str:
    """When each process began that this library works in, in milliseconds."""
    return f"1000 * process_start_time_seconds and on (job, instance) {PREFIX}_appended_events_total"


def share_of(part: str, whole: str) -> str:
    """A part of a whole; 0 where nothing of it has ever happened."""
    return f"({part} or vector(0)) / {whole}"


def once(expression: str) -> str:
    """What every exporter shows of all groups and partitions, taken once."""
    return f"max by (group, partition) ({expression})"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _where(matchers: str) -> str:
    return f"{{{matchers}}}" if matchers else ""
