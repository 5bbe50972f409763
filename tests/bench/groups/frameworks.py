"""The session stores of OpenAI Agents, Google ADK and LangGraph: what an equal turn takes more with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from strands_session_log import SessionLog, ValkeySessionManager
from support.servers import ValkeyliteServer

from ..measuring import Run
from ..processes import Apart, ProcessEnded
from ..report import amount
from ..rows import Cost, Row
from ..sessions import WINDOW, calm
from ..turns import Turn, answering, ask, more
from .turn import COST

_ROUNDS = 60
_PYTHON = Path(__file__).parents[3] / ".venv" / "peers" / "bin" / "python"
_NONE = "none"


class _Framework(NamedTuple):
    """Another framework.

    Attributes:
        name: What it is called.
        module: The program in `frameworks/` that has its turns.
        stores: Its session stores, as the program names them.
        note: What must be known of them.
    """

    name: str
    module: str
    stores: tuple[str, ...]
    note: str


_FRAMEWORKS = (
    _Framework(
        "OpenAI Agents",
        "in_openai_agents",
        ("RedisSession", "SQLiteSession"),
        "RedisSession keeps a list of JSON texts on the server, all of which it reads at every turn; SQLiteSession is "
        "a local file. Neither knows of two writers.",
    ),
    _Framework(
        "LangGraph",
        "in_langgraph",
        ("ValkeySaver",),
        "ValkeySaver, of langgraph-checkpoint-aws, writes all messages anew with every checkpoint, three a turn. That "
        "of langgraph-checkpoint-redis needs the modules RedisJSON and RediSearch, which Valkey does not have.",
    ),
    _Framework(
        "Google ADK",
        "in_google_adk",
        ("RedisSessionService",),
        "ADK has no turn without a session service: `none` is its InMemorySessionService. RedisSessionService, of "
        "google-adk-community, writes the whole session anew with every event.",
    ),
)


def rows(run: Run) -> Iterator[Row]:
    """Ours first: an agent of Strands on the same server."""
    with ValkeyliteServer() as server, SessionLog.connect(server.url) as log:
        with_ours = Turn(answering(ValkeySessionManager("s", log=log), WINDOW), ask)
        without = Turn(answering(None, WINDOW), ask)
        calm(log)
        for framework in _FRAMEWORKS:
            yield from _beside(run, framework, server.url, without, with_ours)


def _beside(run: Run, framework: _Framework, url: str, without: Turn, with_ours: Turn) -> Iterator[Row]:
    module = f"tests.bench.frameworks.{framework.module}"
    try:
        with Apart(str(_PYTHON), module, url.replace("valkey:", "redis:"), str(WINDOW)) as process:
            works = {name: process.work(name) for name in (_NONE, *framework.stores)}
            what = f"turns, ours and of {framework.name}"
            times = run.in_turn([without, with_ours, *works.values()], _ROUNDS, what, seconds=30)
    except (OSError, ProcessEnded) as error:
        problem = str(error).strip().splitlines()[-1]
        for store in framework.stores:
            yield Row(_name(framework, store), [], [], note=f"Not measured. {problem}")
        return
    ours = more(times, with_ours, without)
    for store in framework.stores:
        others = more(times, works[store], works[_NONE])
        note = f"A whole turn takes {_amount(times[works[_NONE]])} without and {_amount(times[works[store]])} with it."
        if store == framework.stores[-1]:
            note += f" {framework.note}"
        cost = Cost(COST.format("a turn", WINDOW), f"{store} of {framework.name}")
        yield Row(_name(framework, store), ours, others, None, "more", note=note, cost=cost)


def _name(framework: _Framework, store: str) -> str:
    return (
        f"a turn of {framework.name}, {WINDOW} messages held: what {store} takes more than none ÷ what ours takes more "
        "in one of Strands"
    )


def _amount(times: list[float]) -> str:
    return amount(median(times), "s")
