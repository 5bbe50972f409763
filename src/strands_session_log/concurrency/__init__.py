"""Threads, queues and pauses: one kind of each, for whatever goes on beside the caller."""

from .background import Background
from .backoff import Backoff, spread
from .channel import Channel
from .interruptible import held, sleep, stopped_by_signals, wait_until
from .running_loop import running_loop
from .worker_thread import ProcessBound, WorkerThread

__all__ = [
    "Background",
    "Backoff",
    "Channel",
    "ProcessBound",
    "WorkerThread",
    "held",
    "running_loop",
    "sleep",
    "spread",
    "stopped_by_signals",
    "wait_until",
]
