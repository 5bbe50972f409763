"""Sessions of strands-valkey-session-manager 0.1."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from ..errors import ServerRefusedError, ServerUnavailableError
from ..keys import Keyspace
from ..server import Client, Store, text
from .errors import SourceError, SourceUnavailableError
from .records import agent_record, checked_ids, load, message_record, repository_agent, session_record
from .stored import StoredAgent, StoredSession

T = TypeVar("T")

_KEY = re.compile(r"session:(?P<session>[^:]+)(?::agent:(?P<agent>[^:]+)(?::message:(?P<index>-?[0-9]{1,16}))?)?")
_SCAN_COUNT = 1_000
_CHUNK = 100
_PREFIX = "session"
_FOREIGN = frozenset({"hash", "list", "set", "zset", "stream"})


class _Keys(NamedTuple):
    """The keys of one session, each list in the order of its names."""

    agents: dict[str, str]
    messages: dict[str, dict[int, str]]


class ValkeySessions:
    """The sessions strands-valkey-session-manager keeps under `session:*`, as RedisJSON or as plain strings.

    Keys are found with SCAN, once. Other programs like that prefix, too: what is no session of Strands is passed over.

    Args:
        client: Any sync valkey-py client, decoding or not.
        retry_for: For how many seconds a server that is away is waited for.
    """

    origin = "valkey-session-manager"

    def __init__(self, client: Client, retry_for: float = 10.0) -> None:
        self._store = Store(client, Keyspace(_PREFIX, 1), retry_for)

    def session_ids(self) -> Sequence[str]:
        """The sessions there are.

        Raises:
            SourceUnavailableError: When the server cannot be used.
        """
        bare = [session_id for session_id, keys in self._keys.items() if not keys.agents and not keys.messages]
        ours = set()
        for session_id, value in self._values([f"session:{session_id}" for session_id in bare]).items():
            if _is_session(value):
                ours.add(session_id.partition(":")[2])
        return sorted(self._keys.keys() - (set(bare) - ours))

    def read(self, session_id: str) -> StoredSession:
        """Read one of them.

        Raises:
            SourceError: When a value of it cannot be read; names the key.
            SourceUnavailableError: When the server cannot be used.
        """
        checked_ids("session_id", session_id)
        key, keys = f"session:{session_id}", self._keys.get(session_id, _Keys({}, {}))
        record = session_record(_parsed(self._values([key]), key), session_id, key)
        agents = [self._agent(session_id, agent_id, keys) for agent_id in sorted({*keys.agents, *keys.messages})]
        return StoredSession(session_id, self.origin, record, agents)

    def _agent(self, session_id: str, agent_id: str, keys: _Keys) -> StoredAgent:
        key = f"session:{session_id}:agent:{agent_id}"
        names = dict(sorted(keys.messages.get(agent_id, {}).items()))
        values = self._values([key, *names.values()])
        record = agent_record(_parsed(values, key), session_id, agent_id, key)
        messages = [message_record(_parsed(values, name), index, name) for index, name in names.items()]
        return repository_agent(record, messages)

    @cached_property
    def _keys(self) -> Mapping[str, _Keys]:
        found: dict[str, _Keys] = defaultdict(lambda: _Keys({}, {}))
        pages = self._asked(lambda: list(self._store.scan(f"{_PREFIX}:*", _SCAN_COUNT)))
        for key in map(_name, chain.from_iterable(pages)):
            match _KEY.fullmatch(key or ""):
                case re.Match() as parts if parts["index"]:
                    found[parts["session"]].messages.setdefault(parts["agent"], {})[int(parts["index"])] = parts[0]
                case re.Match() as parts if parts["agent"]:
                    found[parts["session"]].agents[parts["agent"]] = parts[0]
                case re.Match() as parts:
                    found[parts["session"]]
        return dict(found)

    def _values(self, keys: Sequence[str]) -> dict[str, Any]:
        """What stands under keys, whichever way it was written; None where that is nothing of the old manager's."""
        values: dict[str, Any] = {}
        for at in range(0, len(keys), _CHUNK):
            chunk = keys[at : at + _CHUNK]
            kinds = dict(zip(chunk, self._replies([("TYPE", key) for key in chunk]), strict=True))
            commands = [(command, key) for key, kind in kinds.items() if (command := _reading(text(kind)))]
            replies = self._replies(commands)
            values |= {key: reply for (_, key), reply in zip(commands, replies, strict=True)}
        return values

    def _replies(self, commands: Sequence[tuple[str, str]]) -> list[Any]:
        return self._asked(lambda: self._store.pipeline(commands))

    def _asked(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except (ServerUnavailableError, ServerRefusedError) as error:
            raise SourceUnavailableError(error.reason) from error


def _reading(kind: str) -> str | None:
    """The command that reads a key of this type; that of the JSON modules has a name of its own."""
    if kind in _FOREIGN or kind == "none":
        return None
    return "GET" if kind == "string" else "JSON.GET"


def _parsed(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key)
    if value is None:
        raise SourceError(key, "the key is missing, or holds neither JSON nor text")
    return load(value, key)


def _is_session(value: Any) -> bool:
    try:
        return "session_type" in load(value or b"", "")
    except SourceError:
        return False


def _name(key: Any) -> str | None:
    try:
        return text(key)
    except UnicodeDecodeError:
        return None
