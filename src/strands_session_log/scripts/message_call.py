"""A call that appends one message, laid out in one go: every message of every agent waits for it.

Any other batch is laid out argument by argument, and what goes over the wire is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ..events import MessageAdded
from ..keys import Keyspace
from . import APPEND, APPEND_SEALED

BEFORE_EVENTS, OF_EVENT = 6, 12
"""How many arguments of a batch come before those of its events, and how many each of these has."""
_MESSAGE_ADDED = MessageAdded.TYPE.encode()
_SALT, _LINK = 22, 43
"""How long they are in base64url."""


@lru_cache(maxsize=4096)
def append_keys(keyspace: Keyspace, session_id: str, begins: bool) -> tuple[str, ...]:
    """The keys that a batch is appended to, of a session that begins with it or of one that has begun."""
    keys = keyspace.session(session_id)
    return keys.begin if begins else keys.append


def packed_message(keyspace: Keyspace, session_id: str, batch: Sequence[bytes], root: bytes = b"") -> bytes:
    """A call that appends one message as it goes over the wire, in one go; empty for any other."""
    if len(batch) != BEFORE_EVENTS + OF_EVENT:
        return b""
    first, link, base, _, expected, delta, *event = batch
    type_, agent, id_, time, version, trace, kept, salt, its_link, body, facts, index = event
    if type_ != _MESSAGE_ADDED or version != b"1" or delta or len(link) != _LINK:
        return b""
    return _of_message(keyspace, session_id, agent, root) % (
        *(len(first), first, link, len(base), base, len(expected), expected),
        *(len(id_), id_, len(time), time, len(trace), trace, len(kept), kept),
        *(salt, its_link, len(body), body, len(facts), facts, len(index), index),
    )


@lru_cache(maxsize=4096)
def _of_message(keyspace: Keyspace, session_id: str, agent: bytes, root: bytes) -> bytes:
    """What is the same of all calls that append a message of an agent."""
    head = (None, _LINK, None, session_id.encode(), None, b"")
    event = (_MESSAGE_ADDED, agent, None, None, b"1", None, None, _SALT, _LINK, None, None, None)
    keys = append_keys(keyspace, session_id, False)
    if root:
        return APPEND_SEALED.template(keys, (*head, *event, root))
    return APPEND.template(keys, (*head, *event))
