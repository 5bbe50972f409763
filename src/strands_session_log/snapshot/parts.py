"""Which stretches of an agent's transcript a snapshot stores, and as which segments.

What comes along with a snapshot is at most about twice what the agents hold of it: a stored segment of which little is
held any more is cut anew, and what lies far apart is not stored with what lies between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ..state import AgentState, Messages, Segment

Span: TypeAlias = "tuple[int, int]"

FACTOR = 2
"""How many messages may come along for each that is held."""
GAP = 8
"""A segment of its own takes about as long as so many messages more in one that is read anyway."""


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


class _Chunk(NamedTuple):
    """A segment of the transcript, or its tail, and what is held of it.

    Attributes:
        start: Position of its first message.
        end: Position after its last.
        segment: The segment; None for the tail.
        held: What the agent holds of it, and stretches to store that have all of it.
        stretches: The latter.
    """

    start: int
    end: int
    segment: Segment | None
    held: int
    stretches: Sequence[Span]

    @property
    def name(self) -> str:
        return self.segment.name if self.segment and self.held else ""

    @property
    def least(self) -> int:
        """How many messages are stored of it if it is cut anew."""
        return sum(last - first for first, last in self.stretches)

    @property
    def excess(self) -> int:
        """How many messages fewer that are."""
        return self.end - self.start - self.least

    def parts(self) -> Iterator[Part]:
        at = self.start
        for first, last in self.stretches:
            if at < first:
                yield Part(at, first, False)
            yield Part(first, last, True, whole=self.segment if (first, last) == (self.start, self.end) else None)
            at = last
        if at < self.end:
            yield Part(at, self.end, False)


def parts_of(agent: AgentState, limit: int) -> list[Part]:
    """Cut an agent's transcript into what is stored already, what is to be stored, and what is not.

    Args:
        agent: The agent.
        limit: How many messages a segment may have.
    """
    chunks = list(_chunks(agent.messages, held_spans(agent)))
    kept = _kept_whole(chunks)
    parts: list[Part] = []
    for chunk in chunks:
        is_kept = chunk.start in kept
        for part in [Part(chunk.start, chunk.end, True, chunk.name)] if is_kept else chunk.parts():
            parts.append(part)
            while len(parts) > 1 and (joined := _joined(parts[-2], parts[-1], limit)):
                parts[-2:] = [joined]
    return [piece for part in parts for piece in _pieces(part, limit)]


def stored_of(agent: AgentState, limit: int) -> int:
    """How many messages of an agent are stored once it is cut so."""
    return sum(part.end - part.start for part in parts_of(agent, limit) if part.is_held)


def held_spans(agent: AgentState) -> list[Span]:
    """The positions of what an agent holds, ascending, and of what was said last: who resumes asks for that anyway.

    A message is held once, so none overlap.
    """
    spans, count = [span for span in agent.window_spans() if not isinstance(span, Mapping)], len(agent.messages)
    return (
        sorted(spans) if not count or any(last == count for _, last in spans) else [*sorted(spans), (count - 1, count)]
    )


def _chunks(messages: Messages, spans: Sequence[Span]) -> Iterator[_Chunk]:
    at = 0
    for start, end, segment in _segments(messages):
        inside: list[Span] = []
        while at < len(spans) and spans[at][0] < end:
            inside.append((max(start, spans[at][0]), min(end, spans[at][1])))
            if spans[at][1] > end:
                break
            at += 1
        yield _Chunk(start, end, segment, sum(last - first for first, last in inside), _stretches(inside))


def _segments(messages: Messages) -> Iterator[tuple[int, int, Segment | None]]:
    start = 0
    for segment in messages.segments:
        yield start, start + segment.count, segment
        start += segment.count
    if messages.tail:
        yield start, len(messages), None


def _stretches(spans: Sequence[Span]) -> list[Span]:
    """What is held, with what lies between where that is not much."""
    found: list[Span] = []
    held = 0
    for first, last in spans:
        held += last - first
        if found and (first - found[-1][1] <= GAP or last - found[-1][0] <= FACTOR * held):
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
            held = last - first
    return found


def _kept_whole(chunks: Sequence[_Chunk]) -> set[int]:
    """Where those begin that stay as they are stored; of the others most is not held, and the rest is cut out."""
    kept = {chunk.start: chunk.excess for chunk in chunks if chunk.name}
    left = FACTOR * sum(chunk.held for chunk in chunks) - sum(chunk.least for chunk in chunks) - sum(kept.values())
    for start, excess in sorted(kept.items(), key=lambda one: -one[1]):
        if left >= 0 or not excess:
            break
        left += kept.pop(start)
    return set(kept)


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
