"""A server looked at before a log is kept on it; also one that would be refused."""

from __future__ import annotations

from dataclasses import dataclass

from ..encryption import KeyProvider
from ..keys import DEFAULT_NAMESPACE, Keyspace
from ..server import Finding, ServerReport, Store, advice, connect, release
from ..snapshot.keys import KEY_FILE_VARIABLE, authenticator, keys_for


@dataclass(frozen=True, slots=True)
class ServerInspection:
    """What a server is, and what should be changed for it to keep sessions well.

    Attributes:
        report: What it says about itself, and which roles the user can take.
        findings: One for each subject of which something can be said.
    """

    report: ServerReport
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether a log can be kept on it; there may be warnings."""
        return all(finding.level != "error" for finding in self.findings)


def inspect_server(
    url: str,
    namespace: str = DEFAULT_NAMESPACE,
    *,
    retry_for: float = 10.0,
    encryption: KeyProvider | str | None = None,
) -> ServerInspection:
    """Look at a server as `session-log doctor` does; a user who may do no more than PING sees less.

    Args:
        url: As for `SessionLog.connect`.
        namespace: The log whose keys the user must be allowed to touch.
        retry_for: For how many seconds a server that is away is waited for.
        encryption: Where the keys of its sessions are, as for `SessionLog`: what they open is looked at, too.

    Raises:
        InvalidUrlError: When the URL is none.
        ServerUnavailableError: When the server cannot be reached.
    """
    # Reads every script there is for what it may call.
    from ..scripts.roles import ROLES
    from .encryption_findings import encryption_findings

    client = connect(url)
    try:
        wanted = {role.name: (f"{namespace}:{role.probe}", role.commands) for role in ROLES}
        store = Store(client, Keyspace(namespace, 1), retry_for)
        report = store.report(wanted)
        encrypted = tuple(encryption_findings(store, encryption))
    finally:
        release(client)
    return ServerInspection(report, (*advice(report), _snapshots(url), *encrypted))


def _snapshots(url: str) -> Finding:
    """Whether what is read faster than by folding the log could be forged."""
    if authenticator(keys_for(url)).has_key:
        return Finding("ok", "snapshots", "authenticated: only snapshots written with a key are read")
    found = "not authenticated: a forged one is read until verify finds it"
    return Finding("ok", "snapshots", f"{found}; {KEY_FILE_VARIABLE} names no file with keys")
