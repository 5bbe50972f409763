"""What a user may not do, asked of the server: by `ACL DRYRUN`, or where that is refused by trying.

What is tried changes nothing: no command has arguments that it could carry out. A server looks at permissions before it
looks at arguments, so any error but `NOPERM` means that the user may.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from valkey.exceptions import ResponseError

from .replies import text
from .routing import Client

# For each command, arguments with which it does nothing.
_PROBES = (
    *("EVAL x 1 KEY", "EVALSHA x 1 KEY", "EVAL_RO x 1 KEY", "EVALSHA_RO x 1 KEY", "TIME", "INFO", "WAIT 0 0"),
    *("ACL WHOAMI", "ACL DRYRUN x PING", "CONFIG GET save", "SCAN 0 COUNT 1", "TYPE KEY", "PTTL KEY"),
    *("XADD KEY none f v", "XRANGE KEY - +", "XREVRANGE KEY + -", "XLEN KEY", "XDEL KEY 1-1", "XTRIM KEY MAXLEN none"),
    *("XINFO STREAM KEY", "XINFO GROUPS KEY", "XINFO CONSUMERS KEY g", "XREAD STREAMS KEY 0"),
    *("XGROUP CREATE KEY g none", "XGROUP DESTROY KEY g", "XGROUP SETID KEY g 0", "XGROUP DELCONSUMER KEY g c"),
    "XGROUP CREATECONSUMER KEY g c",
    *("XREADGROUP GROUP g c STREAMS KEY none", "XACK KEY g 1-1", "XCLAIM KEY g c 0 1-1", "XPENDING KEY g"),
    *("HGET KEY f", "HSET KEY f v g", "HSETNX KEY f v", "HMGET KEY f", "HDEL KEY f", "HKEYS KEY", "HLEN KEY"),
    *(
        "HEXISTS KEY f",
        "HSTRLEN KEY f",
        "HGETALL KEY",
        "HRANDFIELD KEY",
        "HINCRBY KEY f none",
        "HSCAN KEY 0",
        "INCRBY KEY none",
    ),
    *("ZADD KEY none m", "ZREM KEY m", "ZSCORE KEY m", "ZMSCORE KEY m", "ZRANGE KEY 0 0", "ZCOUNT KEY 0 0"),
    *("ZCARD KEY", "EXISTS KEY"),
    *("GET KEY", "SET KEY v none", "UNLINK KEY", "RENAME KEY KEY", "PEXPIRE KEY none", "PERSIST KEY"),
)
_WITH_SUBCOMMANDS = ("ACL", "CONFIG", "XGROUP", "XINFO")
_UNTRIED = ("HSETNX",)
"""No arguments keep it from writing: whoever may `HSET` is taken to be allowed it."""


def _name(words: Sequence[str]) -> str:
    return "|".join(words[:2]) if words[0] in _WITH_SUBCOMMANDS else words[0]


PROBES: Mapping[str, tuple[str, ...]] = {_name(words): tuple(words) for words in map(str.split, _PROBES)}
"""By what access lists call a command, the command with arguments; `KEY` stands for a key that is not there."""


def refused(client: Client, commands: Iterable[str], key: str) -> tuple[str, ...]:
    """Those of these commands that the user of a client may not run on a key.

    Args:
        client: Of one server.
        commands: As access lists call them, `XADD` or `XINFO|GROUPS`.
        key: One that does not exist.
    """
    probes = {name: [key if word == "KEY" else word for word in PROBES[name]] for name in commands}
    [user, *_] = send(client, [("ACL", "WHOAMI")])
    if not isinstance(user, ResponseError):
        replies = send(client, [("ACL", "DRYRUN", text(user), *words) for words in probes.values()])
        if not any(isinstance(reply, ResponseError) for reply in replies):
            return tuple(name for name, reply in zip(probes, replies, strict=True) if text(reply) != "OK")
    return tuple(_tried(client, probes))


def _tried(client: Client, probes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    tried = {name: words for name, words in probes.items() if name not in _UNTRIED}
    replies = dict(zip(tried, send(client, list(tried.values())), strict=True))
    for name in probes:
        reply = replies.get("HSET" if name in _UNTRIED else name)
        if isinstance(reply, ResponseError) and is_forbidden(reply):
            yield name


def is_forbidden(error: ResponseError) -> bool:
    """Whether the server says that the user may not; the driver strips the word from some of these errors."""
    return type(error).__name__ == "NoPermissionError" or str(error).startswith("NOPERM")


def send(client: Client, commands: Sequence[Sequence[bytes | str]]) -> list[Any]:
    """The replies of one server, errors in their place, in one round trip."""
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        # The driver knows commands of two words by both.
        words = [" ".join(map(text, command[:2])), *command[2:]] if command[0] in ("ACL", "CONFIG") else command
        pipeline.execute_command(*words)
    return list(pipeline.execute(raise_on_error=False))
