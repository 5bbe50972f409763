"""docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .report import markdown
from .rows import Row
from .text import BYTES, compressed, generated, source

_BEGINNING = """\
# Benchmarks

What the log costs beside the least it could cost, and beside other session managers. `make bench` writes this page;
machines differ and are noisy, so only the ratios say something.

![How much of each target is used up](benchmarks.svg)
"""

_HOW = """\
## How it was measured

- In one process, on servers that `SessionLog.connect("embedded:")` starts; each group below has its own.
- The two sides of a row take turns, A B A B …, after a warm-up. The ratio is that of the medians, as `what` names it;
  the middle half says between which values half of the ratios of single rounds are. Rounds are fewer where they
  take long.
- Which core the system runs a server on changes what a round trip takes, and with it the ratio of anything short. It is
  left to the system; appends are measured on several servers, all of which count, and each server's figures are given.
- Python's garbage collector is off while something is timed and runs between the rounds.
- Messages are {bytes:,} characters of text that does not repeat: a seeded Markov chain of pairs of words of the English
  in Python's manual (`pydoc_data.topics`). zlib leaves {generated:.0%} of it, and {source:.0%} of the manual itself.
- Resuming means a new log, manager and agent in every round on a connection that is open, as in a new process: nothing
  is known from before. Snapshots had the time to be saved beforehand.
- strands-valkey-session-manager is the package on PyPI on a server with nothing else on it. Stock servers have no
  JSON module; a thin client turns its `JSON.GET` and `JSON.SET` into `GET` and `SET`, which is in its favour.
- The session of {long} is written by `SessionLog.append`, as an agent with a window of 40 writes it with
  `record="state"`: two messages a turn, and then the agent's record with the new count of what was dropped. Full replay
  folds it from the beginning without any snapshot.
- Bytes on the server are the `MEMORY USAGE … SAMPLES 0` of every key of the namespace, after a real agent's
  conversation with everything recorded that is by default. The session without a window has the same events but for
  those that say what the window dropped.
- A tail's latency is that until a thread that waits for it has the event, from the call of the append on; the note has
  it from the append's return on. The other side is a thread that waits in `XREAD` on a connection of its own.
- The network is a relay in a process of its own, on TCP, that delivers what it takes 1 ms later, in either direction.
  Round trips are counted without it.
- Starting the command line is a whole process each time, with the bytecode that the one before has left.
- Strands' `FileSessionManager` and `SnapshotSessionManager` write to local files and wait for no disk.
"""


def document(groups: Mapping[str, Sequence[Row]], machine: Iterable[tuple[str, str]]) -> str:
    """The whole page.

    Args:
        groups: The rows of each group, by title.
        machine: What it ran on.
    """
    parts = [_BEGINNING]
    for title, rows in groups.items():
        notes = [f"{row.name}: {row.note}" for row in rows if row.note]
        parts.append("\n".join([f"## {title[0].upper()}{title[1:]}", "", *markdown(rows)]) + "\n")
        parts += [f"{note}\n" for note in notes]
    parts.append(_how())
    parts.append("\n".join(["## What it ran on", "", *(f"- {name}: {value}" for name, value in machine)]) + "\n")
    return "\n".join(parts)


def _how() -> str:
    text = generated()[: len(source())]
    return _HOW.format(bytes=BYTES, generated=compressed(text), source=compressed(source()), long="100,000 events")
