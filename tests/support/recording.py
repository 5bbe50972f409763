"""The moving pictures of the README: `make recording` plays the demo, and follows an agent word by word, in a terminal.

A terminal that is emulated says what stands in which line when; that is drawn as one SVG file, which needs no script.
Who wants no motion, or has a viewer without it, sees how it ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import pyte
from strands import Agent

from strands_session_log import LiveTokens, SessionLog, ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel
from support.terminal import Terminal, environment_of

PLACE = Path(__file__).parents[2] / "docs" / "recordings"
COLUMNS, ROWS, ALL_ROWS = 100, 28, 200
SIZE, WIDTH, HEIGHT, MARGIN, TITLE = 14, 8.4, 19, 16, 36
LINE_SECONDS, HEADING_SECONDS, LONGEST_SECONDS = 0.15, 1.2, 1.0
COLORS = {"cyan": "#56c2d6", "green": "#7ec699", "magenta": "#c792ea", "red": "#f07178", "default": "#d6deeb"}
DIM = "#7c8699"
SAID = (
    "Lisbon in May is mild: around 20 °C, with showers on some afternoons.\n\n"
    "A light rain jacket will do, and shoes that you can walk in."
)

Moment = tuple[float, str]
"""When something came to the terminal, in seconds, and what."""
Spans = tuple[tuple[int, str, str, bool], ...]
"""A line: columns at which something stands, what, in which colour, and whether it is bold."""


@dataclass
class Version:
    """What stands in a line from a time on, until something else does."""

    row: int
    spans: Spans
    since: float
    until: float | None = None


def demo() -> list[Moment]:
    """The demo, a line after the other: how long it takes here is of no interest."""
    terminal = Terminal(environment_of("embedded:", "strands"), "demo", width=COLUMNS, height=ALL_ROWS)
    try:
        shown = terminal.to_the_end()
    finally:
        terminal.close()
    assert "Try next" in shown, shown
    moments, now = [(0.0, _typed("demo"))], 0.8
    for line in shown[: shown.index("Try next")].rpartition("\r\n")[0].splitlines(keepends=True):
        now += HEADING_SECONDS if line.startswith("\x1b[1;36m") else LINE_SECONDS
        moments.append((now, line))
    return moments


def followed() -> list[Moment]:
    """An agent that speaks, as `tail --live` shows it."""
    with TemporaryDirectory() as directory, SessionLog.connect(url := f"embedded://{directory}/sessions") as log:
        manager = ValkeySessionManager("trip-lisbon", log=log)
        model = ScriptedModel("Hello, Ada. Where are you going?", SAID, chunk=3, pause=0.05)
        agent = Agent(model, session_manager=manager, hooks=[LiveTokens(log, "trip-lisbon")], callback_handler=None)
        agent("Hello, my name is Ada.")
        moments: list[Moment] = [(0.0, _typed("tail trip-lisbon --live"))]
        terminal = _Timed(moments, environment_of(url, "strands"), "tail", "trip-lisbon", "--live", width=COLUMNS)
        try:
            terminal.until("Where are you going?")
            speaking = Thread(target=agent, args=("To Lisbon, in May. What should I pack?",))
            speaking.start()
            terminal.until("walk in.\r\n")
            speaking.join()
        finally:
            terminal.close()
        return list(_steady(moments))


class _Timed(Terminal):
    """Notes when what came."""

    def __init__(self, moments: list[Moment], *args: Any, **more: Any) -> None:
        self._moments, self._began = moments, time.monotonic()
        super().__init__(*args, **more)

    def _read(self) -> str:
        if more := super()._read():
            self._moments.append((time.monotonic() - self._began, more))
        return more


def _typed(command: str) -> str:
    return f"\x1b[32m$\x1b[0m \x1b[1msession-log {command}\x1b[0m\r\n"


def _steady(moments: Iterable[Moment]) -> Iterator[Moment]:
    """The same without the waits in which nothing comes."""
    now = before = 0.0
    for at, shown in moments:
        now, before = now + min(at - before, LONGEST_SECONDS), at
        yield now, shown


def versions(moments: Iterable[Moment]) -> tuple[list[Version], list[tuple[float, int]]]:
    """What stands in each line when; and how many lines there are from when on."""
    screen = pyte.Screen(COLUMNS, ALL_ROWS)
    stream, shown, lengths = pyte.Stream(screen), dict[int, Version](), [(0.0, 1)]
    found: list[Version] = []
    for at, text in moments:
        stream.feed(text)
        for row in sorted(screen.dirty):
            spans, old = _spans(screen.buffer[row]), shown.get(row)
            if old is None or old.spans != spans:
                if old:
                    old.until = at
                shown[row] = Version(row, spans, at)
                found.append(shown[row])
        screen.dirty.clear()
        lengths.append((at, max(row for row, one in shown.items() if one.spans) + 1))
    return [one for one in found if one.spans], lengths


def _spans(line: Any) -> Spans:
    characters = [(column, line[column]) for column in range(COLUMNS)]
    spans = []
    for (color, bold, dim), run in groupby(characters, lambda one: (one[1].fg, one[1].bold, _is_dim(one[1]))):
        cells = list(run)
        text = "".join(cell.data for _, cell in cells)
        if text.strip():
            start = cells[0][0] + len(text) - len(text.lstrip())
            spans.append((start, text.strip(), DIM if dim else COLORS.get(color, COLORS["default"]), bold))
    return tuple(spans)


def _is_dim(cell: Any) -> bool:
    # The emulator knows no faint text: `_dimmed` makes italics of it, which the command line does not use.
    return bool(cell.italics)


def svg(title: str, moments: list[Moment]) -> str:
    """The picture."""
    lines, lengths = versions([(at, text.replace("\x1b[2m", "\x1b[3m")) for at, text in moments])
    rows = min(ROWS, lengths[-1][1])
    width, height = COLUMNS * WIDTH + 2 * MARGIN, rows * HEIGHT + TITLE + MARGIN
    end = lengths[-1][0]
    scrolled = [(at, max(0, count - rows)) for at, count in lengths]
    moves = [(100 * at / end, -by * HEIGHT) for at, by in _changes(scrolled)]
    frames = "".join(f"{at:.2f}%{{transform:translateY({by}px)}}" for at, by in moves)
    style = (
        f"text{{font:{SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre}}"
        "@keyframes on{from{opacity:0}to{opacity:1}}@keyframes stay{from{opacity:1}to{opacity:1}}"
        f"@keyframes scroll{{{frames}}}.old{{opacity:0}}"
        f"#all{{transform:translateY({-scrolled[-1][1] * HEIGHT}px);animation:scroll {end:.2f}s step-end both}}"
        "@media(prefers-reduced-motion:reduce){#all,#all g{animation:none!important}}"
    )
    dots = "".join(f'<circle cx="{MARGIN + 6 + 20 * at}" cy="18" r="6" fill="#4b5563"/>' for at in range(3))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
        f"<title>{escape(title)}</title><style>{style}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="#10151f"/>{dots}'
        f'<svg y="{TITLE}" height="{rows * HEIGHT + 4}" width="100%">'
        f'<g id="all">{"".join(map(_drawn, lines))}</g></svg></svg>\n'
    )


def _changes(values: Iterable[tuple[float, int]]) -> Iterator[tuple[float, int]]:
    for _, same in groupby(values, lambda one: one[1]):
        yield next(same)


def _drawn(version: Version) -> str:
    y, texts = (version.row + 1) * HEIGHT - 5, ""
    for column, text, color, bold in version.spans:
        weight = ' font-weight="bold"' if bold else ""
        place = f'x="{MARGIN + column * WIDTH:.1f}" y="{y}" textLength="{len(text) * WIDTH:.1f}"'
        texts += f'<text {place} fill="{color}"{weight}>{escape(text)}</text>'
    if version.until is None:
        return f'<g style="animation:on 1ms {version.since:.2f}s both">{texts}</g>'
    lasts = version.until - version.since
    return f'<g class="old" style="animation:stay {lasts:.2f}s {version.since:.2f}s">{texts}</g>'


if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    (PLACE / "tail-live.svg").write_text(svg("session-log tail --live: words as an agent says them", followed()))
    (PLACE / "demo.svg").write_text(svg("session-log demo: a conversation that survives kill -9", demo()))
