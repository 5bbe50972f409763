"""LangGraph: `python -m tests.bench.frameworks.in_langgraph URL HELD`."""

from __future__ import annotations

import sys
import time
from itertools import count
from typing import Any

import valkey
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph_checkpoint_aws import ValkeySaver

from ..processes import serve
from ..text import said

_numbers = count()


def main(url: str, held: int) -> None:
    """Turns without a checkpointer, and with one."""
    history = [(HumanMessage, AIMessage)[index % 2](said(index), id=f"m-{index}") for index in range(held)]

    def without() -> float:
        return _timed(bare, [*history, HumanMessage(said(2 * next(_numbers)))], None)

    def with_checkpoints(graph: Any) -> float:
        config = {"configurable": {"thread_id": f"t-{next(_numbers)}"}}
        graph.update_state(config, {"messages": history})
        return _timed(graph, [HumanMessage(said(2 * next(_numbers)))], config)

    bare = _graph(None)
    on_valkey = _graph(ValkeySaver(valkey.Valkey.from_url(url)))
    serve({"none": without, "ValkeySaver": lambda: with_checkpoints(on_valkey)})


def _graph(checkpointer: Any) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda _: {"messages": [AIMessage(said(2 * next(_numbers) + 1))]})
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    return graph.compile(checkpointer=checkpointer)


def _timed(graph: Any, messages: list[Any], config: Any) -> float:
    started = time.perf_counter()
    graph.invoke({"messages": messages}, config)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
