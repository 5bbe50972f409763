"""Writes the dashboards in `grafana/` anew: `python dashboards/build.py [DIRECTORY]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import conversations
import health
from panels import dashboard

BOARDS = {
    "conversations": ("strands-session-log-conversations", "Strands session log: conversations", conversations),
    "log-health": ("strands-session-log-health", "Strands session log: health of the log", health),
}


def main(directory: Path) -> None:
    """Write every dashboard into a directory."""
    for name, (uid, title, board) in BOARDS.items():
        made = dashboard(uid, title, board.ABOUT, board.VARIABLES, board.ROWS)
        (directory / f"{name}.json").write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("grafana"))
