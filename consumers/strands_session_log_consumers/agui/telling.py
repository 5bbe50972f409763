"""What a run tells beside messages: the state that front end and agent share, and what an agent tells of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ag_ui.core import BaseEvent, Event, EventType, StateSnapshotEvent
from pydantic import TypeAdapter, ValidationError

_MOST: Final = 1000
"""How much of what a run told is told those who join."""
_STATES: Final = (EventType.STATE_SNAPSHOT, EventType.STATE_DELTA)
_event: Final[TypeAdapter[Any]] = TypeAdapter(Event)


class RunTelling:
    """What a thread's runs tell.

    Attributes:
        state: That of the agent, which is the thread's as long as no run told another.
    """

    def __init__(self) -> None:
        self.state: Mapping[str, Any] = {}
        self._shared = list[BaseEvent]()
        self._told = deque[BaseEvent](maxlen=_MOST)

    def begin(self) -> None:
        """Another run begins, or none is in progress."""
        self._told.clear()

    def take(self, data: Mapping[str, Any], run: str) -> Iterator[BaseEvent]:
        """An agent told something."""
        try:
            event: BaseEvent = _event.validate_python(data.get("event"))
        except ValidationError:
            return
        if event.type in _STATES:
            # A later one begins with the last whole state, and goes on with what changed.
            self._shared = [event] if event.type == EventType.STATE_SNAPSHOT else [*self._shared, event]
        elif run and data.get("run") == run:
            self._told.append(event)
        else:
            return
        yield event

    def changed(self, state: Mapping[str, Any]) -> Iterator[BaseEvent]:
        """The agent has another state."""
        before, self.state = _visible(self.state), state
        if not self._shared and _visible(state) != before:
            yield from self.states()

    def states(self) -> Iterator[BaseEvent]:
        """The state, for whoever does not have it."""
        if self._shared[:1] and self._shared[0].type == EventType.STATE_SNAPSHOT:
            yield from self._shared
        else:
            yield StateSnapshotEvent(snapshot=_visible(self.state))
            yield from self._shared

    def so_far(self) -> Iterator[BaseEvent]:
        """All of it, for whoever joins now."""
        yield from self.states()
        yield from self._told


def _visible(state: Mapping[str, Any]) -> dict[str, Any]:
    # `ag-ui-strands` keeps its own notes beside what the agent has.
    return {name: value for name, value in state.items() if name != "agui_context" and not name.startswith("__ag_ui_")}
