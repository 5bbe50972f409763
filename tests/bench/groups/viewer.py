"""The viewer in a browser: first paint, moving through time, following, sizes, memory, and what it costs the server."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser
from strands import Agent

from strands_session_log import LiveTokens, SessionLog, ValkeySessionManager, events
from strands_session_log_consumers.viewer.single_page.page import SinglePage
from support.servers import ValkeyliteServer
from support.speaking import SpeakingModel, speaking

from ..looking import Looker, Viewed, browsing, viewed
from ..measuring import Prepared, Run
from ..rows import Pair, Row, Unit
from ..talks import talk, talk_of

_PAINTS, _STARTS, _EXPORTS = 7, 3, 5
_STEPS, _JUMPS, _DRAWS, _PLAYED, _APPENDED, _WORDS = 200, 40, 60, 5.0, 200, 100
_VIEWS, _WATCHERS = 1_000, 100
_KB = 1024
_EXPORTED = 4_990
_APPEARS = """(id) => new Promise((done) => {
  const look = () => document.getElementById(id) && (done(Date.now() / 1000), seen.disconnect());
  const seen = new MutationObserver(look);
  seen.observe(document.getElementById('talk'), { childList: true, subtree: true });
  look();
})"""
_NOTES_WORDS = """() => {
  window.heardAt = [];
  new MutationObserver(() => { window.heardAt.push(Date.now() / 1000); })
    .observe(document.getElementById('saying'), { childList: true, subtree: true, characterData: true });
}"""
_HEARD = """async (before) => {
  while (window.heardAt.length <= before) await new Promise((done) => setTimeout(done, 5));
}"""
_SHIFTS = """() => {
  window.shifts = 0;
  new PerformanceObserver((list) => { for (const one of list.getEntries()) window.shifts += one.value; })
    .observe({ type: 'layout-shift', buffered: false });
}"""


def rows(run: Run) -> Iterator[Row]:
    """A server with many sessions, among them long ones; then what breaks off, and what is taken along."""
    messages, events_, many = run.size(1_000), run.size(10_000), run.size(100_000)
    with browsing() as browser, ValkeyliteServer() as server, SessionLog.connect(server.url) as log:
        _fill(run, log, "messages", talk_of("messages", messages))
        for length in (events_, many):
            _fill(run, log, f"e{length}", talk(f"e{length}", length))
        _many(run, log, sessions := run.size(50_000))
        yield from _starting(run, browser, log, server.url, many)
        with viewed(browser, server.url, log) as viewer:
            yield from _painting(run, viewer, messages, sessions)
            for length, across in ((events_, 0.100), (many, 0.200)):
                yield from _moving(run, viewer, length, across)
            yield from _following(run, viewer, log)
            yield _watching(run, viewer, log)
            yield _memory(run, viewer)
        yield from _exporting(run, log)
    with ValkeyliteServer() as server, SessionLog.connect(server.url) as log:
        yield _recovering(run, browser, log, server)


def _row(name: str, found: Sequence[float], most: float, unit: Unit = "s", note: str = "") -> Row:
    """What was found beside the most that it may be."""
    return Row(name, found, [most] * len(found), 1, unit=unit, note=note)


def _p95(found: Sequence[float]) -> float:
    return quantiles(found, n=20, method="inclusive")[-1]


def _fill(run: Run, log: SessionLog, session_id: str, happened: Iterator[events.Event]) -> None:
    rest = iter(happened)
    while batch := list(islice(rest, 500)):
        log.append(session_id, batch)


def _many(run: Run, log: SessionLog, count: int) -> None:
    kinds: list[tuple[Any, ...]] = [(type(one), one.data, one.agent) for one in talk("other", 6)]
    for number in run.track(range(count), f"{count:,} sessions"):
        log.append(f"other-{number}", [kind(data, agent_) for kind, data, agent_ in kinds])


def _starting(run: Run, browser: Browser, log: SessionLog, url: str, length: int) -> Iterator[Row]:
    """Each time with a viewer that knows nothing of the session."""
    painted, indexed = list[float](), list[float]()
    for _ in run.track(range(1 if run.quick else _STARTS), f"opening {length:,} events"):
        with viewed(browser, url, log) as viewer, viewer.looker() as looker:
            painted.append(looker.open(f"/s/e{length}"))
            indexed.append(looker.indexed())
    yield _row(f"first paint of a session of {length:,} events, the viewer just started ÷ 1.5 s", painted, 1.5)
    yield _row(f"its timeline whole ÷ 4 s, {length:,} events", indexed, 4.0)


def _painting(run: Run, viewer: Viewed, messages: int, sessions: int) -> Iterator[Row]:
    """In a browser that has kept nothing."""
    pages = {f"the list of {sessions:,} sessions": ("/", 0.3), f"{messages:,} messages": ("/s/messages", 1.0)}
    for what, (path, most) in pages.items():
        found, sizes = list[float](), dict[str, float]()
        for _ in run.track(range(2 if run.quick else _PAINTS), f"painting {what}"):
            with viewer.looker() as looker:
                found.append(looker.open(path))
                sizes = looker.sizes()
        yield _row(f"first paint of {what} ÷ {most * 1000:.0f} ms", found, most)
    yield _row("scripts of a conversation, compressed ÷ 32 KB", [sizes["js"]], 32 * _KB, "bytes")
    yield _row("style sheet, compressed ÷ 12 KB", [sizes["css"]], 12 * _KB, "bytes")


def _moving(run: Run, viewer: Viewed, length: int, across: float) -> Iterator[Row]:
    of = f"of {length:,} events"
    with viewer.looker() as looker:
        looker.open(f"/s/e{length}?at={length // 2}")
        page = looker.sizes()["page"]
        looker.indexed()
        inside, draws = looker.steps_inside(run.size(_STEPS)), looker.draws(run.size(_DRAWS))
        points = [random.Random(number).randint(1, length) for number in range(_JUMPS)]
        far = [looker.step_across(point) for point in run.track(points, f"jumping in {length:,} events")]
        frames = _played(looker, length)
        nodes = looker.nodes()
    yield _row(f"a step {of}, within what is loaded: 95th percentile ÷ 16 ms", [_p95(inside)], 0.016)
    yield _row(f"a step {of}, to anywhere: 95th percentile ÷ {across * 1000:.0f} ms", [_p95(far)], across)
    yield _row(f"drawing the timeline {of} ÷ 8 ms", draws, 0.008)
    yield _row(f"a frame of a playback {of} ÷ a 50th of a second", frames, 0.020)
    yield _row(f"elements in the page {of}, after that ÷ 6,000", [nodes], 6_000, "elements")
    yield _row(f"page with what stands around a point {of}, compressed ÷ 80 KB", [page], 80 * _KB, "bytes")


def _played(looker: Looker, length: int) -> list[float]:
    """A hundred times as fast: here events stand a few milliseconds apart, and many are passed in a frame."""
    looker.step_across(length // 4)
    for _ in range(2):
        looker.page.keyboard.press(">")
    return looker.frames(_PLAYED)


def _following(run: Run, viewer: Viewed, log: SessionLog) -> Iterator[Row]:
    """Appended in this process, seen in that of the browser, by the clock they share."""
    log.append("followed", list(talk("followed", 200)))
    rounds = run.size(_APPENDED)
    with viewer.looker() as looker:
        looker.open("/s/followed")
        looker.follows()
        looker.indexed()
        looker.page.evaluate(_SHIFTS)
        came = [_appeared(looker, log, number) for number in run.track(range(rounds), "events on screen")]
        shifts = looker.page.evaluate("window.shifts")
    note = f"what the page shifted meanwhile (CLS): {shifts:.3f}"
    yield _row("an event is appended, and on screen: 95th percentile ÷ 250 ms", [_p95(came)], 0.250, note=note)
    heard = _heard(run, viewer, log)
    yield _row("words are said, and on screen: 95th percentile ÷ 150 ms", [_p95(heard)], 0.150)


def _appeared(looker: Looker, log: SessionLog, number: int) -> float:
    began = time.time()
    at = log.append("followed", events.Custom("custom.note", {"number": number}))
    seen: Any = looker.page.evaluate(_APPEARS, f"r{at[-1].revision if isinstance(at, list) else at.revision}")
    return float(seen) - began


def _heard(run: Run, viewer: Viewed, log: SessionLog) -> list[float]:
    """Each word a while after the one before, so that none comes with another."""
    count = max(20, run.size(_WORDS) // 5 if run.quick else _WORDS)
    model, said = SpeakingModel(["word " * count], chunk=5), list[float]()
    manager, words = ValkeySessionManager("spoken", log=log), LiveTokens(log, "spoken", interval=0.01)
    living = Agent(model=model, session_manager=manager, hooks=[words], callback_handler=None)
    with viewer.looker() as looker:
        looker.open("/s/spoken")
        looker.follows()
        looker.page.evaluate(_NOTES_WORDS)
        with speaking(living):
            for number in run.track(range(count - 1), "words on screen"):
                said.append(time.time())
                model.say(1)
                looker.page.evaluate(_HEARD, number)
        heard: list[float] = looker.page.evaluate("window.heardAt")
    return [later - began for began, later in zip(said, heard, strict=False)]


def _watching(run: Run, viewer: Viewed, log: SessionLog) -> Row:
    """Whoever waits in XREAD, while so many pages show one session that goes on."""
    with ExitStack() as stack:
        stack.enter_context(_stream(viewer))
        one = _readers(log)
        for _ in run.track(range(_WATCHERS - 1), "watching"):
            stack.enter_context(_stream(viewer))
        many = _readers(log)
    name = f"readers on the server of {_WATCHERS} pages that watch a session ÷ of one"
    return Row(name, [many], [one], 1, unit="connections")


def _stream(viewer: Viewed) -> ExitStack:
    """What one page is told, and nobody reads."""
    stack, connection = ExitStack(), http.client.HTTPConnection(urlsplit(viewer.url).netloc, timeout=20)
    connection.request("GET", "/f/live?s=followed&after=1", headers={"Cookie": viewer.cookie})
    assert connection.getresponse().status == 200
    stack.callback(connection.close)
    return stack


def _readers(log: SessionLog) -> int:
    """Looked at for a second: a reader comes back each time it has read something."""
    found = 0
    for _ in range(20):
        clients: Any = log.client.execute_command("CLIENT LIST")
        found = max(found, sum(one["cmd"] == "xread" for one in clients))
        time.sleep(0.05)
    return found


def _memory(run: Run, viewer: Viewed) -> Row:
    """The list, a session, and a part of it, over and over."""
    paths = ("/", "/s/messages", "/s/messages?at=500", "/f/s/messages/point?at=300")

    def look(times: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(viewer.url).netloc, timeout=60)
        for number in range(times):
            connection.request("GET", paths[number % len(paths)], headers={"Cookie": viewer.cookie})
            connection.getresponse().read()
        connection.close()

    views = run.size(_VIEWS)
    look(views // 2)
    before = viewer.resident
    for _ in run.track(range(10), f"{views:,} views"):
        look(views // 10)
    grown = max(0, viewer.resident - before)
    return _row(f"memory of the viewer: what {views:,} views more take ÷ 5 MB", [grown], 5 * _KB * _KB, "bytes")


def _exporting(run: Run, log: SessionLog) -> Iterator[Row]:
    length = run.size(_EXPORTED)
    _fill(run, log, "exported", talk("exported", length))

    def page() -> int:
        return sum(map(len, SinglePage(log, "exported").chunks()))

    def verify() -> Any:
        return log.verify("exported")

    pair = Pair(f"export {length:,} events as one page ÷ verifying them, which it does first", page, verify)
    yield from run.measure([pair], _EXPORTS, "exporting a page")


def _recovering(run: Run, browser: Browser, log: SessionLog, server: ValkeyliteServer) -> Row:
    """From when the server answers again until the page shows an event that was appended then."""
    log.append("s", list(talk("s", 50)))
    with viewed(browser, server.url, log) as viewer, viewer.looker() as looker:
        looker.open("/s/s")
        looker.follows()
        looker.indexed()

        def away() -> None:
            server.kill()
            looker.page.wait_for_selector("body[data-server=away]", state="attached")
            server.restart()

        def back() -> None:
            log.append("s", events.Custom("custom.note", {}))
            looker.page.wait_for_selector(f"#r{log.head('s').revision}", state="attached")

        times = run.in_turn([Prepared(away, back)], 3, "recovering")
    return _row("Valkey is back, and the page goes on ÷ 2 s", next(iter(times.values())), 2.0)
