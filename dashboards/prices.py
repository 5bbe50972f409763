"""The recording rules of what models cost, from a table of prices (`prices.yaml`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from queries import PREFIX, PRICE

KINDS = ("input", "output", "cache_read", "cache_write")
_KNOWN = {"model", "input_includes_cache", *KINDS}

_RULES = """\
# Written by `python dashboards/build.py` from prices.yaml: change that.
groups:
  - name: strands-session-log-costs
    rules:
      # Dollars a token, of each model that is used and has a price; the first that fits holds.
      - record: {price}
        expr: >-
          {prices}
      - record: agent:{prefix}_cost_dollars:rate5m
        expr: >-
          sum by (agent, model) (
            sum by (agent, model, kind) (rate({prefix}_tokens_total[5m]))
            * on (model, kind) group_left () {price}
          )
"""


def rules(path: Path) -> str:
    """The rules for a table.

    Raises:
        SystemExit: When something in the table is no price.
    """
    table = yaml.safe_load(path.read_text())
    terms = [term for row in table for term in _terms(row)]
    return _RULES.format(prefix=PREFIX, price=PRICE, prices="\n          or ".join(terms))


def _terms(row: Mapping[str, Any]) -> Iterator[str]:
    _check(row)
    prices = {kind: float(row.get(kind, 0)) for kind in KINDS}
    if row.get("input_includes_cache"):
        # They were counted as input already: what is left is the difference, which is less than nothing.
        prices["cache_read"] -= prices["input"]
    for kind, price in prices.items():
        matchers = f'model=~{json.dumps(row["model"])}, kind="{kind}"'
        yield f"max by (model, kind) ({PREFIX}_tokens_total{{{matchers}}}) * 0 + {price * 1e-6:.12g}"


def _check(row: Mapping[str, Any]) -> None:
    if unknown := set(row) - _KNOWN:
        raise SystemExit(f"prices: {row}: unknown: {', '.join(sorted(unknown))}")
    if not isinstance(row.get("model"), str) or not _is_pattern(row["model"]):
        raise SystemExit(f"prices: {row}: model is no regular expression")
    if wrong := [kind for kind in KINDS if not _is_price(row.get(kind, 0))]:
        raise SystemExit(f"prices: {row}: no price: {', '.join(wrong)}")


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _is_price(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
