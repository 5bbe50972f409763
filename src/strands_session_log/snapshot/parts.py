"""Which stretches of an agent's transcript a snapshot stores, and as which segments."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..state import AgentState, Messages, Segment


class Part(NamedTuple):
    """A stretch of an agent's transcript.

    Attributes:
        start: Position of its first message.
        end: Position after its last.
        is_held: Whether an agent holds something of it; otherwise it is not stored.
        name: What it is called where it is stored already; empty if it is not.
        whole: The very segment it is, if it is one: states that follow each other share them.
    """

    start: int
    end: int
    is_held: bool
    name: str = ""
    whole: Segment | None = None


def parts_of(agent: AgentState, limit: int) -> list[Part]:
    """Cut an agent's transcript into what is stored already, what is to be stored, and what is not.

    Args:
        agent: The agent.
        limit: How many messages a segment may have.
    """
    spans = _wanted(agent)
    parts: list[Part] = []
    for part in _cut(agent.messages, spans):
        parts.append(part)
        while len(parts) > 1 and (joined := _joined(parts[-2], parts[-1], limit)):
            parts[-2:] = [joined]
    return [piece for part in parts for piece in _pieces(part, limit)]


def _wanted(agent: AgentState) -> list[tuple[int, int]]:
    """What the agent holds, and what was said last: who resumes asks for that, whether the agent holds it or not."""
    spans, count = [span for span in agent.window_spans() if not isinstance(span, Mapping)], len(agent.messages)
    return spans if not count or any(last == count for _, last in spans) else [*spans, (count - 1, count)]


def _cut(messages: Messages, spans: list[tuple[int, int]]) -> Iterator[Part]:
    """Stored segments whole; of the others, from the first message that is held to the last.

    A message is held once, so that spans do not overlap.
    """
    spans = sorted(spans)
    firsts, lasts = [first for first, _ in spans], [last for _, last in spans]
    for start, end, segment in _chunks(messages):
        one, other = bisect_right(lasts, start), bisect_left(firsts, end)
        if one >= other:
            yield Part(start, end, False)
        elif segment is not None and segment.name:
            yield Part(start, end, True, segment.name)
        else:
            first, last = max(start, firsts[one]), min(end, lasts[other - 1])
            if start < first:
                yield Part(start, first, False)
            yield Part(first, last, True, whole=segment if (first, last) == (start, end) else None)
            if last < end:
                yield Part(last, end, False)


def _chunks(messages: Messages) -> Iterator[tuple[int, int, Segment | None]]:
    start = 0
    for segment in messages.segments:
        yield start, start + segment.count, segment
        start += segment.count
    if messages.tail:
        yield start, len(messages), None


def _joined(one: Part, other: Part, limit: int) -> Part | None:
    """Both as one: what is not stored with what is not, and a small segment with what follows, if that is new."""
    if not one.is_held and not other.is_held:
        return Part(one.start, other.end, False)
    size, more = one.end - one.start, other.end - other.start
    if one.is_held and other.is_held and not other.name and size <= more and size + more <= limit:
        return Part(one.start, other.end, True)
    return None


def _pieces(part: Part, limit: int) -> Iterator[Part]:
    if not part.is_held or part.name or part.end - part.start <= limit:
        yield part
        return
    for start in range(part.start, part.end, limit):
        yield Part(start, min(start + limit, part.end), True)
