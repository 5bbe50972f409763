"""How safe an append must be before it counts as done."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidSettingError, UnsupportedServerError, check_whole
from .checks import ServerReport

_DAY_MS = 86_400_000
"""0 would mean for ever."""


@dataclass(frozen=True, slots=True)
class Durability:
    """What to wait for, on the same connection and in the same round trip as the append.

    A shortfall is an unknown outcome, not a failure: the events are in the primary's memory and may well survive.
    Valkey documents the limits: https://valkey.io/commands/wait/, https://valkey.io/commands/waitaof/.

    Attributes:
        command: The wait command with its arguments; empty to wait for nothing.
        needed: The least its replies must be.
    """

    command: tuple[str | int, ...] = ()
    needed: tuple[int, ...] = ()

    @classmethod
    def memory(cls) -> Durability:
        """Done when the primary has it in memory; how soon it is on disk is the server's `appendfsync`."""
        return cls()

    @classmethod
    def replicated(cls, replicas: int, timeout_ms: int = 1000) -> Durability:
        """Done when this many replicas have it in memory (`WAIT`).

        Raises:
            InvalidSettingError: When it is fewer than one replica, or no time to wait for them.
        """
        check_whole("replicas", replicas, 1)
        check_whole("timeout_ms", timeout_ms, 1, _DAY_MS)
        return cls(("WAIT", replicas, timeout_ms), (replicas,))

    @classmethod
    def fsync(cls, replicas: int = 0, timeout_ms: int = 1000) -> Durability:
        """Done when it is on the primary's disk, and on that of so many replicas (`WAITAOF`, Valkey or Redis 7.2+).

        Raises:
            InvalidSettingError: When it is no number of replicas, or no time to wait for them.
        """
        check_whole("replicas", replicas, 0)
        check_whole("timeout_ms", timeout_ms, 1, _DAY_MS)
        return cls(("WAITAOF", 1, replicas, timeout_ms), (1, replicas))

    @classmethod
    def parse(cls, text: str) -> Durability:
        """Understand `memory`, `replicated:N` and `fsync`.

        Raises:
            InvalidSettingError: When it is none of these.
        """
        match text.split(":") if isinstance(text, str) else ():
            case ["memory"]:
                return cls.memory()
            case ["fsync"]:
                return cls.fsync()
            case ["replicated", number] if number.isdigit():
                return cls.replicated(int(number))
        raise InvalidSettingError("durability", text, "give memory, replicated:N (for example replicated:1) or fsync")

    def check(self, server: ServerReport) -> None:
        """Refuse a server that can never give what is asked for.

        Raises:
            UnsupportedServerError: When `fsync` meets a server without `WAITAOF`, or without an append-only file.
        """
        if self.command[:1] != ("WAITAOF",):
            return
        if server.version is not None and server.version < (7, 2):
            raise UnsupportedServerError(server.name, "version 7.2 for durability 'fsync'")
        if server.aof_enabled is False:
            raise UnsupportedServerError(f"{server.name} with appendonly no", "appendonly yes for durability 'fsync'")

    def shortfall(self, reply: object) -> str:
        """What the wait's reply lacks, in words; empty when it lacks nothing."""
        if isinstance(reply, Exception):
            return f"{self.command[0]} failed: {reply}"
        answered = tuple(reply) if isinstance(reply, (list, tuple)) else (reply,)
        if all(int(str(got)) >= need for got, need in zip(answered, self.needed, strict=True)):
            return ""
        return f"{self.command[0]} reported {answered}, needed {self.needed}"


MEMORY = Durability.memory()
