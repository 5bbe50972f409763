"""A namespace and a user for each tenant: the server itself keeps them apart.

The lines are those that `session-log --namespace tenant-a acl writer` prints; run once, as the
server's administrator.
"""

import subprocess
import sys

from strands_session_log import SessionLog, events
from strands_session_log.errors import ForbiddenError


def access_line(tenant: str, password: str) -> list[str]:
    """The ACL SETUSER line of a writer of one tenant; it has the password as a hash."""
    command = [sys.executable, "-m", "strands_session_log.cli", "--namespace", tenant, "acl", "writer"]
    command += ["--user", tenant, "--password-file", "-"]
    return subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout.split()


def main(administrator: str, address: str) -> None:
    """Make two tenants; neither sees what the other has."""
    with SessionLog.connect(administrator) as admin:
        for tenant in ("tenant-a", "tenant-b"):
            admin.client.execute_command(*access_line(tenant, f"secret-of-{tenant}"))
    ours = f"valkey://tenant-a:secret-of-tenant-a@{address}"
    with SessionLog.connect(ours, namespace="tenant-a") as log:
        log.append("s-1", events.Custom("custom.note", {"of": "a"}))
        print("its own:", log.session_ids())
    try:
        with SessionLog.connect(ours, namespace="tenant-b") as log:
            log.append("s-1", events.Custom("custom.note", {"of": "a"}))
    except ForbiddenError as exc:
        print("the other's:", type(exc).__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])
