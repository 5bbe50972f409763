"""The server: how to reach it, how to have one of one's own, and whether it is fit to keep a log."""

from __future__ import annotations

from .advice import Finding, advice
from .checks import ServerReport, check, inspect, inspect_all
from .clients import AnyClient, connect
from .leases import release
from .urls import SCHEMES, key_file_of, masked

__all__ = [
    "SCHEMES",
    "AnyClient",
    "Finding",
    "ServerReport",
    "advice",
    "check",
    "connect",
    "inspect",
    "inspect_all",
    "key_file_of",
    "masked",
    "release",
]
