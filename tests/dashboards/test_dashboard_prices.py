"""What models cost, from a table of prices: the rules that are made of it, and what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

BUILD = Path(__file__).parents[2] / "dashboards" / "build.py"
TOKENS = "strands_session_log_tokens_total"


def build(table: object, place: Path) -> subprocess.CompletedProcess[str]:
    """Make dashboards and rules of a table."""
    prices = place / "prices.yaml"
    prices.write_text(yaml.safe_dump(table))
    command: list[str | Path] = [sys.executable, BUILD, place, "--prices", prices]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_is_no_price_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    done = build([{"model": "a", "input": -1}], tmp_path)
    assert done.returncode != 0
    assert "input=-1: give a price" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["prices.yaml"]


@pytest.mark.dashboards
def test_a_cost_is_what_each_kind_of_token_costs_by_the_first_price_that_fits(tmp_path: Path) -> None:
    build(
        [
            {"model": "big-.*", "input": 3, "output": 15, "cache_read": 0.3},
            {"model": "gpt", "input": 2.5, "output": 10, "cache_read": 1.25, "input_includes_cache": True},
            {"model": ".*-1", "input": 1000},
        ],
        tmp_path,
    ).check_returncode()
    spent = {
        ("guide", "big-1", "input"): 10_000,  # tokens a second
        ("guide", "big-1", "output"): 1_000,
        ("guide", "big-1", "cache_read"): 10_000,
        ("cook", "gpt", "input"): 8_000,
        ("cook", "gpt", "cache_read"): 4_000,
        ("cook", "nobody's", "input"): 5_000,
    }
    series = [
        {"series": f'{TOKENS}{{agent="{agent}", model="{model}", kind="{kind}"}}', "values": f"0+{60 * each}x20"}
        for (agent, model, kind), each in spent.items()
    ]
    # In thousandths of a dollar a second: 30 + 15 + 3, and 4,000 at 2.5 with 4,000 at 1.25.
    samples = [
        {"labels": '{agent="guide", model="big-1"}', "value": 48},
        {"labels": '{agent="cook", model="gpt"}', "value": 15},
    ]
    asked = {
        "expr": "round(1000 * agent:strands_session_log_cost_dollars:rate5m)",
        "eval_time": "15m",
        "exp_samples": samples,
    }
    unit = {"interval": "1m", "input_series": series, "promql_expr_test": [asked]}
    test = tmp_path / "test.yml"
    test.write_text(yaml.safe_dump({"rule_files": ["costs.yml"], "tests": [unit]}))
    done = subprocess.run(["promtool", "test", "rules", test], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
