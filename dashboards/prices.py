"""The recording rules of what models cost, from a table of prices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from queries import PREFIX, PRICE

from strands_session_log import ModelPrice, Prices
from strands_session_log.errors import InvalidSettingError

_RULES = """\
# Written by `python dashboards/build.py`, of a table of prices: change that.
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


def rules(path: Path | None) -> str:
    """The rules for a table; for the list prices if none is named.

    Raises:
        SystemExit: When something in the table is no price.
    """
    try:
        table = Prices.load(path)
    except InvalidSettingError as error:
        raise SystemExit(str(error)) from error
    terms = [term for row in table.rows for term in _terms(row)]
    return _RULES.format(prefix=PREFIX, price=PRICE, prices="\n          or ".join(terms))


def _terms(row: ModelPrice) -> Iterator[str]:
    for kind, price in row.dollars.items():
        matchers = f'model=~{json.dumps(row.model)}, kind="{kind}"'
        yield f"max by (model, kind) ({PREFIX}_tokens_total{{{matchers}}}) * 0 + {price:.12g}"
