"""What ran within what: agents that a tool of another one called, and the nodes of graphs and swarms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from strands_session_log import Recorded

_DEEPEST: Final = 4


class Within(NamedTuple):
    """Where something ran.

    Attributes:
        revision: Of the event with which that began; 0 for what ran within nothing.
        depth: Within how many others.
        caller: The name of the tool that called, or of the node.
    """

    revision: int = 0
    depth: int = 0
    caller: str = ""


_NOWHERE: Final = Within()


class Nesting:
    """Follows the events of a session, and knows of each where it ran."""

    def __init__(self) -> None:
        self._calls = dict[tuple[str, str], Within]()
        self._running = dict[str, Within]()

    def add(self, recorded: Recorded) -> tuple[Within, bool]:
        """Where the next event ran, and whether something began with it that others run within."""
        id_, event, _ = recorded
        data = event.data if isinstance(event.data, Mapping) else {}
        match event.type:
            case "tool.started":
                place = self._of(event.agent)
                self._calls[event.agent, _use(data)] = Within(0, place.depth + 1, str(data.get("name", "")))
            case "tool.completed" | "tool.failed":
                self._calls.pop((event.agent, _use(data)), None)
            case "invocation.started":
                return self._begin(id_.revision, event.agent)
            case "invocation.completed" | "invocation.failed":
                return self._end(event.agent), False
            case "node.started":
                place = Within(id_.revision, self._of(event.agent).depth + 1, str(data.get("node", "")))
                self._running[_node(event.agent, place.caller)] = place
                return self._of(event.agent), True
            case "node.completed":
                self._running.pop(_node(event.agent, str(data.get("node", ""))), None)
        return self._of(event.agent), False

    def _begin(self, revision: int, agent: str) -> tuple[Within, bool]:
        """An agent is called: by itself, in a node, or by the call of another agent's tool that is not over."""
        calls = [(caller, call) for (caller, _), call in self._calls.items() if caller != agent]
        if not calls or self._of(agent).revision:
            return self._of(agent), False
        caller, call = calls[-1]
        self._running[agent] = call._replace(revision=revision)
        return self._of(caller)._replace(caller=call.caller), True

    def _end(self, agent: str) -> Within:
        place = self._of(agent)
        # Of a call whose end was erased nobody knows which one it was.
        self._calls = {known: call for known, call in self._calls.items() if known[0] != agent}
        # A node is over when its graph says so, after what its agent says.
        if place.revision and ":" not in agent:
            self._running.pop(agent, None)
        return place

    def _of(self, agent: str) -> Within:
        """Where an agent runs: what it is called says so of one in a node."""
        while agent:
            if found := self._running.get(agent):
                return found._replace(depth=min(found.depth, _DEEPEST))
            agent = agent.rpartition(":")[0]
        return _NOWHERE


def _use(data: Mapping[str, Any]) -> str:
    return str(data.get("tool_use_id", ""))


def _node(above: str, node: str) -> str:
    """What the transcript of a node is called; see `docs/format.md`."""
    return f"{above}:{quote(node, safe='/ ') if set(node) & set(':%') else node}"
