"""What goes wrong with a server, or with the client that leads to it."""

from __future__ import annotations

from .base import SessionLogError


class ServerUnavailableError(SessionLogError):
    """The server could not be reached, or stopped answering.

    Attributes:
        reason: What went wrong the last time.
        may_have_written: Whether an attempt of the call may have been carried out: its reply may have been lost.
    """

    may_have_written = True

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the server cannot be reached: {reason}")


class TlsError(ServerUnavailableError):
    """No encrypted connection comes about, or none that may be trusted; no other attempt would cure it.

    Attributes:
        address: Of the server, `host:port`.
        reason: What was found.
        cure: What to do about it.
    """

    may_have_written = False

    def __init__(self, address: str, reason: str, cure: str) -> None:
        self.address, self.reason, self.cure = address, reason, cure
        SessionLogError.__init__(self, f"no connection to {address}: {reason}; {cure}")


class ServerRefusedError(SessionLogError):
    """The server answered with an error; that attempt has written nothing.

    Attributes:
        reason: What it said.
        cure: What to do about it; empty when that is not known.
        may_have_written: Whether an earlier attempt of the same call, whose reply was lost, may have been carried out.
    """

    may_have_written = False

    def __init__(self, reason: str, cure: str = "") -> None:
        self.reason, self.cure = reason, cure
        super().__init__(f"the server refused the command: {reason}" + (f" ({cure})" if cure else ""))

    @property
    def is_wrong_type(self) -> bool:
        """Whether a key holds something else than it should: somebody else wrote there, and only that key is broken."""
        return "WRONGTYPE" in self.reason

    @property
    def is_too_large(self) -> bool:
        """Whether it never takes the command: a value in it is larger than the server lets any be."""
        return "invalid bulk length" in self.reason


class ForbiddenError(ServerRefusedError):
    """The server's access lists do not let the user do that."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "`session-log doctor` tells what the user lacks, docs/security.md what a role needs")


class ServerNotReadyError(ServerRefusedError, ServerUnavailableError):
    """The server refuses for now, and went on doing so for as long as it was waited for; nothing was written.

    Attributes:
        reason: What it said.
        cure: What to do about it.
    """

    may_have_written = False
    cure = "try again later"

    def __init__(self, reason: str) -> None:
        self.reason, self.cure = reason, type(self).cure
        SessionLogError.__init__(self, f"the server refuses for now: {reason} ({self.cure})")


class OutOfMemoryError(ServerNotReadyError):
    """The server has reached `maxmemory`; nothing was written."""

    cure = "delete sessions or raise `maxmemory`; the append can then be repeated"


class ReadOnlyServerError(ServerNotReadyError):
    """The server is a replica: a failover is under way, or its address leads to the wrong server."""

    cure = "lead the address to the primary; after a failover the call can be repeated"


class ServerBusyError(ServerNotReadyError):
    """A script of somebody's runs for too long, and nothing else is served meanwhile."""

    cure = "SCRIPT KILL ends it if it has not written yet"


class NotEnoughReplicasError(ServerNotReadyError):
    """The primary has fewer replicas than its `min-replicas-to-write` asks for."""

    cure = "bring its replicas back, or lower `min-replicas-to-write`"


class DiskWriteError(ServerNotReadyError):
    """The server cannot write to its disk, and is told not to go on without (`stop-writes-on-bgsave-error`)."""

    cure = "make room on its disk; its log tells more"


class ServerLoadingError(ServerNotReadyError):
    """The server has started, and reads its data."""

    cure = "wait until it has, or make `retry_for` longer"


class ClusterNotReadyError(ServerNotReadyError):
    """The cluster does not know, or does not agree, who serves a slot: a failover, or a slow migration."""

    cure = "wait until it has settled, or make `retry_for` longer; CLUSTER INFO tells more"


class UnusableClientError(SessionLogError, TypeError):
    """A client on which no log can be kept.

    Attributes:
        client: Its type: it may be a URL, or options, with a password.
        reason: What is wrong with it, and what to give instead.
    """

    def __init__(self, client: object, reason: str) -> None:
        kind = type(client)
        self.client, self.reason = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."), reason
        super().__init__(f"client of type {self.client}: {reason}")


class EvictionPolicyError(SessionLogError):
    """The server may silently throw away sessions when memory runs out."""

    def __init__(self, policy: str) -> None:
        self.policy = policy
        super().__init__(
            f"maxmemory-policy is {policy!r}: the server may delete sessions without a trace. Set it to 'noeviction', "
            "or pass allow_eviction=True if losing sessions is acceptable"
        )


class UnsupportedServerError(SessionLogError):
    """The server is too old, or lacks what was asked of it."""

    def __init__(self, found: str, needed: str) -> None:
        self.found, self.needed = found, needed
        super().__init__(f"the server is {found}, but {needed} is needed")


class EmbeddedServerError(ServerUnavailableError):
    """The embedded server could not be started, or not again.

    Attributes:
        directory: Where it was to keep its data.
        reason: What went wrong.
        log: The last lines of its log, or nothing when it did not get that far.
    """

    def __init__(self, directory: str, reason: str, log: str = "") -> None:
        self.directory, self.reason, self.log = directory, reason, log
        SessionLogError.__init__(self, f"no embedded server in {directory!r}: {reason}" + (f"\n{log}" if log else ""))
