"""`session-log acl`."""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from hashlib import sha256
from typing import Annotated

import typer

from ... import ROLES, Role
from ...files import open_named
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import argument, command, option
from ..output import write_bytes
from ..terminal import note, write_json

EPILOG = (
    "Examples:\n\nsession-log acl writer | valkey-cli --user default --askpass\n\n"
    "session-log acl auditor --user jane --password-file jane.txt >> users.valkey"
)
_BESIDE = ("PING", "TIME", "CLIENT|SETNAME")
_CLUSTER = ("CLUSTER|SLOTS", "COMMAND", "ASKING", "READONLY")
_DURABLE = ("WAIT", "WAITAOF")
_QUOTED = frozenset(" \\\"'")


def _names() -> list[str]:
    return [role.name for role in ROLES]


RoleArgument = Annotated[str, argument("ROLE", f"One of {', '.join(_names())}.", _names)]
UserOption = Annotated[str | None, option("--user", "NAME", "The user; else the namespace and the role.")]
PasswordOption = Annotated[
    str | None,
    option("--password-file", "FILE", "The user's password, - for standard input; else one is made, and told once."),
]
ClusterOption = Annotated[bool, option("--cluster", None, "Allow what the driver asks a cluster, too.")]
DurableOption = Annotated[bool, option("--durable", None, "Allow what a durability beyond memory waits with, too.")]


@command
def acl(
    call: CommandCall,
    role: RoleArgument,
    user: UserOption = None,
    password_file: PasswordOption = None,
    cluster: ClusterOption = False,
    durable: DurableOption = False,
) -> None:
    """Print the ACL SETUSER line of a user who may do what a role does in the namespace, and nothing else.

    The line has the password as a hash only. It is printed, not run: nothing is asked of a server.
    """
    found = next((one for one in ROLES if one.name == role), None)
    if found is None:
        fail(Code.USAGE, f"there is no role {role!r}; it can be {', '.join(_names())}")
    namespace = call.target.namespace
    name, password = user or f"{namespace}-{role}", _password(password_file)
    if any(map(str.isspace, namespace)):
        fail(Code.USAGE, f"no access list can name the keys of {namespace!r}: servers take no pattern with spaces")
    if not name or any(letter.isspace() or not letter.isprintable() for letter in name):
        fail(Code.USAGE, f"a user cannot be called {name!r}: give --user NAME without spaces")
    rules = _rules(found, namespace, password, cluster, durable)
    line = " ".join(("ACL SETUSER", *map(_quoted, (name, *rules))))
    if password_file is None:
        note(f"the password of {name}, which is told only now: {password}")
    if call.as_json:
        write_json({"user": name, "role": role, "namespace": namespace, "rules": rules, "line": line})
    else:
        write_bytes(f"{line}\n".encode())


def _rules(role: Role, namespace: str, password: str, cluster: bool, durable: bool) -> list[str]:
    beside = [*_BESIDE, *_CLUSTER * cluster, *_DURABLE * durable]
    commands = dict.fromkeys(f"+{command.lower()}" for command in (*role.wide, *beside))
    # Beginning with nothing: a user who was there before keeps no right of then.
    return [
        "reset",
        "on",
        f"#{sha256(password.encode()).hexdigest()}",
        *role.keys(namespace),
        *commands,
        *role.selector(namespace),
    ]


def _quoted(word: str) -> str:
    """As valkey-cli takes a word that has something in it that means something there."""
    if not _QUOTED & set(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _password(file: str | None) -> str:
    if file is None:
        return secrets.token_urlsafe(24)
    try:
        with nullcontext(typer.get_binary_stream("stdin")) if file == "-" else open_named(file) as opened:
            password = opened.readline().decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        fail(Code.USAGE, f"--password-file {file}: cannot be read: {getattr(error, 'strerror', 'it is no UTF-8 text')}")
    if not password:
        fail(Code.USAGE, f"--password-file {file}: its first line is empty, and would be no password")
    return password
