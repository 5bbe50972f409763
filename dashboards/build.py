"""Writes the dashboards in `grafana/`, and the rules of what models cost, anew: `python dashboards/build.py --help`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import conversations
import health
import prices
from panels import dashboard

HERE = Path(__file__).parent
BOARDS = {
    "conversations": ("strands-session-log-conversations", "Strands session log: conversations", conversations),
    "log-health": ("strands-session-log-health", "Strands session log: health of the log", health),
}


def main() -> None:
    """Write every dashboard, and the rules, to where they belong or into a directory."""
    parser = argparse.ArgumentParser(description="Write the dashboards, and the rules of what models cost, anew.")
    parser.add_argument("directory", nargs="?", type=Path, help="where to; to where they belong if left out")
    parser.add_argument("--prices", type=Path, help="the table of prices; the list prices if left out")
    options = parser.parse_args()
    costs = prices.rules(options.prices)
    for name, (uid, title, board) in BOARDS.items():
        made = dashboard(uid, title, board.ABOUT, board.VARIABLES, board.ROWS, board.ANNOTATIONS)
        (options.directory or HERE / "grafana").joinpath(f"{name}.json").write_text(json.dumps(made, indent=2) + "\n")
    (options.directory or HERE / "prometheus" / "rules").joinpath("costs.yml").write_text(costs)


if __name__ == "__main__":
    main()
