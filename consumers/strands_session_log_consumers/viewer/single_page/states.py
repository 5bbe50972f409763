"""What a session was at each of its points, for a page that has no server to ask: what differs stands there once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from jinja2 import Environment

from strands_session_log import AgentState, SessionState

from ..conversation.window import held_of


class SinglePageStates:
    """Collects the states of a session, in the order of its events.

    Args:
        templates: Where their parts are drawn.
    """

    def __init__(self, templates: Environment) -> None:
        self._draw: Any = templates.get_template("state.html").module
        self._last = dict[tuple[str, str], tuple[Any, int]]()
        self._numbers, self._parts = dict[str, int](), list[str]()
        self._points = list[tuple[int, list[int]]]()
        self._agents = dict[str, tuple[AgentState, list[int]]]()

    def add(self, state: SessionState) -> None:
        """What the session was after one more event."""
        found = list(self._shown(state))
        if not self._points or self._points[-1][1] != found:
            self._points.append((state.revision, found))

    def to_json(self) -> dict[str, Any]:
        """Each part once, and from which revision on which parts are shown."""
        return {"parts": self._parts, "points": self._points}

    def _shown(self, state: SessionState) -> Iterator[int]:
        draw = self._draw
        if state.labels:
            yield self._part(("labels", ""), state.labels, draw.labels)
        for name, agent in state.agents.items():
            # Most events leave an agent as it was, and then it is the same object.
            if (known := self._agents.get(name)) is None or known[0] is not agent:
                known = self._agents[name] = agent, list(self._of_agent(name, agent))
            yield from known[1]
        for name, graph in state.multi_agents.items():
            yield self._part(("graph", name), graph, partial(draw.graph, name))

    def _of_agent(self, name: str, agent: AgentState) -> Iterator[int]:
        draw = self._draw
        held, shares = held_of(agent)
        window = (held, len(agent.messages), agent.is_interrupted, shares)
        yield self._part(("window", name), window, partial(_ignoring, draw.window, name, agent, held, shares))
        if agent.state:
            yield self._part(("state", name), agent.state, draw.values)
        if agent.in_force:
            yield self._part(("in force", name), agent.in_force, draw.in_force)

    def _part(self, which: tuple[str, str], value: Any, drawn: Callable[[Any], Any]) -> int:
        """The number of what is drawn of a value; what is as it was is not drawn again."""
        known = self._last.get(which)
        if known is not None and _is_same(known[0], value):
            return known[1]
        text = str(drawn(value)).strip()
        number = self._numbers.setdefault(text, len(self._parts))
        if number == len(self._parts):
            self._parts.append(text)
        self._last[which] = (value, number)
        return number


def _ignoring(draw: Callable[..., Any], *values: Any) -> Any:
    """Drawn of these values, whatever comes last."""
    return draw(*values[:-1])


def _is_same(before: Any, after: Any) -> bool:
    """Whether two values are drawn alike: what JSON tells apart, as `1` and `True`, is not the same."""
    if before is after:
        return True
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        return bool(before == after) and repr(before) == repr(after)
    return bool(before == after)
