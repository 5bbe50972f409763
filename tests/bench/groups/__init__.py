"""What is measured, each group in a module of its own that needs a server of its own and nothing of the others."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from ..measuring import Run
from ..rows import Row

GROUPS = {
    "turn": "a turn: what it takes more with a session manager than without",
    "append": "appending a message",
    "encryption": "what it takes more to encrypt",
    "writers": "several writers at once",
    "clients": "the same by other clients: RESP 2 and 3, with libvalkey and without",
    "resume": "resuming, beside the least that loading can cost and the old manager",
    "opened": "opening sessions that another wrote: after an import, and with a window from now on",
    "crowd": "resuming with 50,000 other sessions on the server",
    "long": "a session of 100,000 events: resumed, replayed, looked back in, forked, rewound",
    "agui": "following runs over HTTP: how late what is said is heard by 1,000 followers",
    "find": "finding what failed among 20,000 sessions",
    "search": "searching in 1,000,000 messages, and indexing what is said",
    "seal": "sealing 10,000 changed sessions, and checking what was sealed",
    "bundle": "exporting 100,000 events to a bundle and bringing them back, and what memory that takes",
    "privacy": "sweeping, pruning, erasing a person, and archiving",
    "size": "bytes on the server, and bytes written for snapshots",
    "subscribe": "consumer groups: latency, throughput, and what they cost writers",
    "tail": "following: one tail and two hundred of one process",
    "hold": "for how long one script call holds the server",
    "network": "a network of 1 ms each way in between, and round trips",
    "start": "starting the command line",
    "viewer": "the viewer in a browser: first paint, moving through time, following, sizes, memory",
    "instructions": "what an append makes the server compute",
    "peers": "the session managers of Strands, on local files",
    "frameworks": "turns of other frameworks with their session stores, on the same server",
}


def measure(group: str, run: Run) -> Iterator[Row]:
    """Measure one group."""
    yield from import_module(f".{group}", __package__).rows(run)
