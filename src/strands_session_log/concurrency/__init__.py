"""Threads, queues and pauses: one kind of each, for whatever goes on beside the caller."""

from .background import Background
from .backoff import Backoff, spread
from .channel import Channel
from .running_loop import running_loop
from .worker_thread import ProcessBound, WorkerThread

__all__ = ["Background", "Backoff", "Channel", "ProcessBound", "WorkerThread", "running_loop", "spread"]
