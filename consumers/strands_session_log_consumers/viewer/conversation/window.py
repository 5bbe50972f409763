"""What an agent holds of its transcript, and how the nodes of a graph or swarm stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from strands_session_log import AgentState, SessionState


def held_in(state: SessionState) -> dict[str, dict[str, Any]]:
    """What each agent of a session holds, as templates take it."""
    found = {name: held_of(agent) for name, agent in state.agents.items()}
    held = {name: count for name, (count, _) in found.items()}
    return {"held": held, "shares": {name: shares for name, (_, shares) in found.items()}}


def held_of(agent: AgentState) -> tuple[int, list[int]]:
    """How many messages it holds, and of each part of the transcript how much: 0 for nothing, 2 for all of it."""
    spans = _spans(agent.window_spans())
    return sum(end - start for start, end in spans), _shares(spans, len(agent.messages))


_NODES: Final = {
    "completed_nodes": "completed",
    "node_history": "completed",
    "failed_nodes": "failed",
    "interrupted_nodes": "waits",
    "next_nodes_to_execute": "next",
}
"""Where a graph or swarm says of its nodes how they stand; what comes later counts."""


def nodes_of(orchestrator: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the nodes of a graph or swarm stand, as far as it says so."""
    found = dict[str, str]()
    for name, word in _NODES.items():
        nodes = orchestrator.get(name)
        found |= dict.fromkeys(map(str, nodes if isinstance(nodes, (list, tuple)) else ()), word)
    return list(found.items())


def _spans(spans: Any) -> list[tuple[int, int]]:
    return [span for span in spans if not isinstance(span, Mapping)]


def _shares(spans: list[tuple[int, int]], count: int, parts: int = 32) -> list[int]:
    """Of each part of a transcript, how much is held: 0 for nothing, 2 for all of it."""
    shares = []
    for part in range(parts):
        first, last = part * count / parts, (part + 1) * count / parts
        inside = sum(max(0.0, min(last, end) - max(first, start)) for start, end in spans)
        shares.append(0 if inside <= 0 else 2 if inside >= (last - first) * 0.99 else 1)
    return shares
