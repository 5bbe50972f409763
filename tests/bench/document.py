"""docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .costs import costs
from .report import markdown
from .rows import Row
from .text import BYTES, compressed, generated, source

_BEGINNING = """\
# Benchmarks

What the log costs beside the least it could cost, and beside others. `make bench` writes this page; machines differ and
are noisy, so only the ratios say something.

## What it costs you

Medians; what costs less than this log is bold. A message is a kilobyte, and the model answers at once.
"""

_REACHED = """\
## What is to be reached

{met} of {targets} targets are met.{missed}

![How much of each target is used up](benchmarks.svg)
"""

_HOW = """\
## How it was measured

- In one process, on servers that `SessionLog.connect("embedded:")` starts; each group below has its own.
- A turn is a whole call of a Strands agent with a model that answers at once, and a sliding window that is full. The
  same agent is asked without a session manager in every round; what a manager costs is what its agent takes more. Work
  that a manager does in the background is in it where it is in the way.
- Turns of other frameworks are those of their own runners, with and without their session store, in processes of their
  own, which take turns with ours. Their sessions hold as many messages as our agent does at the end of a longer one.
- The two sides of a row take turns, A B A B …, after a warm-up. The ratio is that of the medians, as `what` names it;
  the middle half says between which values half of the ratios of single rounds are. Rounds are fewer where they
  take long.
- Which core the system runs a server on changes what a round trip takes, and with it the ratio of anything short. It is
  left to the system; appends are measured on several servers, all of which count, and each server's figures are given.
- Python's garbage collector is off while something is timed and runs between the rounds.
- Messages are {bytes:,} characters of text that does not repeat: a seeded Markov chain of pairs of words of the English
  in Python's manual (`pydoc_data.topics`). zlib leaves {generated:.0%} of it, and {source:.0%} of the manual itself.
- Resuming means a new log, manager and agent in every round on a connection that is open, as in a new process: nothing
  is known from before. Right after writing means that the snapshot is the one its writer saved on the way, put back
  before each round; elsewhere, one of the end had the time to be saved.
- Several writers are threads of one process with one client; each has a manager and a session of its own.
- Instructions are those of the server under `valgrind --tool=callgrind`, its append-only file on, without snapshots.
- strands-valkey-session-manager is the package on PyPI on a server with nothing else on it. Stock servers have no
  JSON module; a thin client turns its `JSON.GET` and `JSON.SET` into `GET` and `SET`, which is in its favour.
- The session of {long} is written by `SessionLog.append`, as an agent with a window of 40 writes it with
  `record="state"`: two messages a turn, and then the agent's record with the new count of what was dropped. Full replay
  folds it from the beginning without any snapshot.
- The session that is mostly facts has turns of four tools each: ten messages, and fifteen facts.
- Bytes on the server are the `MEMORY USAGE … SAMPLES 0` of every key of the namespace, after a real agent's
  conversation with everything recorded that is by default. The session without a window has the same events but for
  those that say what the window dropped.
- A tail's latency is that until a thread that waits for it has the event, from the call of the append on; the note has
  it from the append's return on. The other side is a thread that waits in `XREAD` on a connection of its own.
- The network is a relay in a process of its own, on TCP, that delivers what it takes 1 ms later, in either direction.
  Round trips are counted without it.
- Starting the command line is a whole process each time, with the bytecode that the one before has left.
- The viewer is a process of its own, and so is the browser, headless and without a GPU. Conversations are those of an
  agent with a tool and a window, ten or eleven events a turn; each first paint is that of a browser that has kept
  nothing. How soon something is on the screen is by the clock that the processes share, from before the append until it
  stands in the page. 95th percentiles are of 200 steps, 40 jumps, 200 events and 100 words.
- Strands' `FileSessionManager` and `SnapshotSessionManager` write to local files and wait for no disk.
"""


def document(groups: Mapping[str, Sequence[Row]], machine: Iterable[tuple[str, str]]) -> str:
    """The whole page.

    Args:
        groups: The rows of each group, by title.
        machine: What it ran on.
    """
    every = [row for rows in groups.values() for row in rows]
    parts = [_BEGINNING, "\n".join(costs(every)) + "\n", _reached(every)]
    for title, rows in groups.items():
        notes = [f"{row.name}: {row.note}" for row in rows if row.note]
        parts.append("\n".join([f"## {title[0].upper()}{title[1:]}", "", *markdown(rows)]) + "\n")
        parts += [f"{note}\n" for note in notes]
    parts.append(_how())
    parts.append("\n".join(["## What it ran on", "", *(f"- {name}: {value}" for name, value in machine)]) + "\n")
    return "\n".join(parts)


def _reached(rows: Sequence[Row]) -> str:
    verdicts = [row.verdict for row in rows if row.target is not None]
    missed = "".join(f"\n- {row.verdict}: {row.name}" for row in rows if row.verdict not in ("", "met"))
    return _REACHED.format(met=verdicts.count("met"), targets=len(verdicts), missed=missed and f"\n{missed}")


def _how() -> str:
    text = generated()[: len(source())]
    return _HOW.format(bytes=BYTES, generated=compressed(text), source=compressed(source()), long="100,000 events")
