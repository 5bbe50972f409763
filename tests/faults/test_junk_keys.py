"""Whatever stands under the keys of a session, every public operation ends soon: with an answer or an error of ours.

Each piece of the corpus is put there, every operation is run against it, and the keys are put back. A session beside
the damaged one suffers only where the two share what is damaged.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from junk import Junk, corpus
from strands import Agent
from strands.types.exceptions import SessionException

from strands_session_log import SessionLog, ValkeySessionManager, ValkeyStorage, errors, events
from strands_session_log.event_log import AgentAt, SessionAt
from strands_session_log.keys import config_key
from strands_session_log.testing.model import ScriptedModel
from support import Keyspace
from support.clients import open_client
from support.command_line import Run, message, runner
from support.sampling import sampled

StorageError = pytest.importorskip("strands.storage.storage", reason="this Strands has no storage").StorageError

LIMIT = 5.0
"""Seconds within which every call must have ended; those that wait for a server are told to wait for one."""
_QUIET = 0.05
_SINCE = datetime(2020, 1, 1, tzinfo=timezone.utc)
_OURS = (errors.SessionLogError, SessionException, StorageError)
NOT_RUN = "the time is up"
CORPUS = list(corpus())
COPY_ALL = """
local stand, have = {}, #ARGV[1] + 1
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do stand[string.sub(key, have)] = true end
for _, key in ipairs(redis.call('KEYS', ARGV[2] .. ':*')) do
  local rest = string.sub(key, #ARGV[2] + 1)
  if not stand[rest] then redis.call('DEL', key) end
end
for rest in pairs(stand) do redis.call('COPY', ARGV[1] .. rest, ARGV[2] .. rest, 'REPLACE') end
"""
"""Makes one namespace what another is, in one round trip: it is done before each of ten thousand calls."""


class World:
    """A namespace with a session "s" that has everything, another beside it, and a way to put both back.

    Attributes:
        log: The log.
        client: A client that does not decode.
        run: Calls `session-log`.
        keys: The keys of "s", of what is stored, and `config`, by name.
    """

    def __init__(self, url: str, keyspace: Keyspace, decode: bool) -> None:
        self.url, self.namespace, self._keyspace = url, f"t-junk-{uuid4().hex[:8]}", keyspace
        self.client, self.user = open_client(url), open_client(url, decode_responses=decode)
        self.log = SessionLog(self.user, self.namespace, partitions=1, retry_for=1.0)
        self.run: Run = runner(url, self.namespace)
        self._make()
        keys = self.log._events.keyspace
        stored = keys.stored("key")
        self.keys: Mapping[str, str] = {
            **keys.session("s")._asdict(),
            "config": config_key(self.namespace),
            "stored": stored.value,
            "listing": stored.listing,
        }
        self._copy = self.client.register_script(COPY_ALL)
        self._whole, self._spoilt = f"whole-{self.namespace}", f"spoilt-{self.namespace}"
        self._copy(args=[self.namespace, self._whole])
        self._work_anew()

    def _make(self) -> None:
        log = self.log
        talk(log, "parent")
        log.erase("parent", 3, "asked for")
        log.fork("parent", None, "s")
        talk(log, "s")
        log.erase("s", 4, "asked for")
        log.fork("s", None, "child")
        log.append("n", [message(0, "user", "Hello?"), message(1, "assistant", "Hello.")])
        log._replay.settle()
        live, head = log._events.keyspace.session("s").live, log._events.head("s")
        assert head is not None
        piece = ("kind", "text", "agent", "default", "message", "m", "sequence", "1", "block", "0", "tool_use_id", "")
        for text in ("A", "B"):
            self.client.execute_command("XADD", live, "*", *piece, "text", text, "revision", head.id.revision)
        asyncio.run(ValkeyStorage(log).write("key", b"value"))
        asyncio.run(ValkeyStorage(log).write("other", b"value"))

    def put(self, junk: Junk) -> None:
        """Every key as it was, and no other, but for the junk."""
        self._copy(args=[self._whole, self.namespace])
        junk.put(self.client, self.keys[junk.key])
        self._copy(args=[self.namespace, self._spoilt])

    def put_again(self) -> None:
        """Everything as it was when the junk had just been put there."""
        self._copy(args=[self._spoilt, self.namespace])

    def _work_anew(self) -> None:
        self._worker, self._loop = ThreadPoolExecutor(1), asyncio.new_event_loop()

    def ask_storage(self, name: str, *arguments: Any) -> Any:
        """Call a method of the storage."""
        return self._loop.run_until_complete(getattr(ValkeyStorage(self.log), name)(*arguments))

    def timed(self, call: Callable[[], Any]) -> Any:
        """What a call returns, or the error it raises; `NOT_RUN` if it did not end in time."""
        future = self._worker.submit(call)
        try:
            return future.result(LIMIT)
        except TimeoutError:
            self._work_anew()
            return NOT_RUN
        except BaseException as error:
            return error

    def length(self) -> int:
        """How many events the stream of "s" has; -1 if it is none."""
        with suppress(Exception):
            return int(self.client.xlen(self.keys["events"]))
        return -1

    def close(self) -> None:
        self._worker.shutdown(wait=False)
        self._loop.close()
        self.log.close()
        for namespace in (self.namespace, self._whole, self._spoilt):
            self._keyspace.delete(self._keyspace.under(namespace))
        self.client.close()
        self.user.close()


def first_of(tail: Any, within: float = _QUIET) -> Any:
    """What comes first; nothing if that does not come soon."""
    timer = threading.Timer(within, tail.close)
    timer.start()
    try:
        return next(tail, None)
    finally:
        timer.cancel()
        tail.close()


def talk(log: SessionLog, session_id: str) -> None:
    manager = ValkeySessionManager(session_id, log=log)
    Agent(model=ScriptedModel(("Fine.",)), session_manager=manager, callback_handler=None)("How are you?")


def note() -> events.Event:
    return events.Custom("custom.note", {"number": 1})


OPERATIONS: Mapping[str, Callable[[World], Any]] = {
    "connect": lambda world: SessionLog.connect(world.url, world.namespace, retry_for=1.0).close(),
    "sessions": lambda world: world.log.sessions(),
    "sessions by pages": lambda world: [*pages(world.log)],
    "count_sessions": lambda world: world.log.count_sessions(_SINCE),
    "read": lambda world: [*world.log.read("s")],
    "read after": lambda world: [*world.log.read("s", after=2, until="-0s")],
    "append": lambda world: world.log.append("s", note()),
    "append message": lambda world: world.log.append("s", message(4, "user", "And?")),
    "append to session": lambda world: world.log.append("s", note(), SessionAt(world.length())),
    "append to agent": lambda world: world.log.append("s", note(), AgentAt("default", next_message=4)),
    "state": lambda world: world.log.state("s"),
    "state at revision": lambda world: world.log.state("s", at=3),
    "state at time": lambda world: world.log.state("s", at="-1h"),
    "diff": lambda world: world.log.diff("s", 3),
    "fork": lambda world: world.log.fork("s", 12, "made", allow_unanswered=True),
    "rewind": lambda world: world.log.rewind("s", 3),
    "verify": lambda world: world.log.verify("s"),
    "erase": lambda world: world.log.erase("s", 5, "asked for"),
    "erase in parent": lambda world: world.log.erase("parent", 5, "asked for"),
    "export": lambda world: world.log.export("s", BytesIO()),
    "hold": lambda world: world.log.retention.hold("s", reason="why", by="me"),
    "holds": lambda world: [*world.log.retention.holds()],
    "time to live": lambda world: world.log.retention.set_ttl("s", "30d"),
    "sweep": lambda world: world.log.retention.sweep(),
    "prune": lambda world: world.log.retention.prune(older_than="90d"),
    "delete": lambda world: world.log.delete("s"),
    "tail": lambda world: first_of(world.log.tail("s")),
    "tail from": lambda world: first_of(world.log.tail("s", after=4)),
    "live": lambda world: first_of(world.log.live("s")),
    "feed": lambda world: first_of(world.log.tail()),
    "new in feed": lambda world: first_of(world.log.tail(after="now")),
    "resume": lambda world: talk(world.log, "s"),
    "store": lambda world: world.ask_storage("write", "key", b"new"),
    "stored": lambda world: world.ask_storage("read", "key"),
    "listed": lambda world: world.ask_storage("list"),
    "listed below": lambda world: world.ask_storage("list", "oth"),
    "unstored": lambda world: world.ask_storage("delete", "key"),
    "cli sessions": lambda world: world.run("sessions", exit_code=None),
    "cli show": lambda world: world.run("show", "s", exit_code=None),
    "cli verify": lambda world: world.run("verify", "--all", exit_code=None),
}


COMMANDS_SEE = {"config", "events", "head", "sessions", "snapshot"}
ASKED_ABOUT = {
    "new in feed": {"position"},
    **{name: COMMANDS_SEE for name in OPERATIONS if name.startswith("cli")},
}
"""Operations that take long, and the keys they have to do with."""


def pages(log: SessionLog) -> Iterator[str]:
    before = None
    for _ in range(50):
        page = log.sessions(2, before)
        yield from (info.session_id for info in page)
        if not page:
            return
        before = page[-1]
    raise AssertionError("the pages never end")


@pytest.fixture(scope="module")
def plain(server_url: str, keyspace: Keyspace) -> Iterator[World]:
    """A world whose client leaves replies as bytes."""
    found = World(server_url, keyspace, decode=False)
    yield found
    found.close()


@pytest.fixture(scope="module")
def decoding(server_url: str, keyspace: Keyspace) -> Iterator[World]:
    """A world whose client decodes replies."""
    found = World(server_url, keyspace, decode=True)
    yield found
    found.close()


def wrong_ends(world: World, junk: Junk) -> list[str]:
    """The operations that do not end as they should with this junk, and how they do."""
    wrong = []
    world.put(junk)
    length = world.length()
    for name, operation in OPERATIONS.items():
        if junk.key not in ASKED_ABOUT.get(name, {junk.key}):
            continue
        world.put_again()
        found = world.timed(partial(operation, world))
        if found is NOT_RUN or (isinstance(found, BaseException) and not isinstance(found, _OURS)):
            wrong.append(f"{name}: {found!r}")
        if name.startswith("append") and isinstance(found, errors.SessionLogError) and world.length() != length:
            wrong.append(f"{name}: {found!r}, and yet it wrote something")
        if isinstance(found, BaseException) and "WRONGTYPE" in str(found):
            wrong.append(f"{name}: {found!r} does not name the key")
    return wrong


@pytest.mark.parametrize("junk", sampled(CORPUS, 6), ids=lambda junk: junk.name)
def test_every_operation_ends_soon_with_an_answer_or_an_error_of_ours(plain: World, junk: Junk) -> None:
    assert wrong_ends(plain, junk) == []


@pytest.mark.parametrize("junk", sampled((junk for junk in CORPUS if junk.is_binary), 6), ids=lambda junk: junk.name)
def test_so_it_does_with_a_client_that_decodes_and_bytes_that_are_no_text(decoding: World, junk: Junk) -> None:
    assert wrong_ends(decoding, junk) == []


SUFFERING: Mapping[str, set[str]] = {
    "sessions": {"listed", "append", "verify"},
    "feed": {"append", "verify"},
    "": set(),
}
"""What does not work for a session beside the one with the junk, by what the two share."""


def suffering_from(junk: Junk) -> set[str]:
    """The same of one piece of junk: the last envelope is that session's own, and evidence."""
    return SUFFERING[junk.shared] | ({"verify"} if junk.name.startswith("feed[-1]") else set())


NEIGHBOURLY: Mapping[str, Callable[[World], bool]] = {
    "listed": lambda world: "n" in pages(world.log),
    "state": lambda world: len(world.log.state("n").agents["default"].messages) == 2,
    "verify": lambda world: world.log.verify("n").ok,
    "tail": lambda world: first_of(world.log.tail("n"), LIMIT - 1).id.revision == 1,
    "stored": lambda world: world.ask_storage("read", "other") == b"value",
    "append": lambda world: world.log.append("n", message(2, "user", "Ah.")).revision == 3,
}


@pytest.mark.parametrize(
    "junk", sampled((junk for junk in CORPUS if junk.key != "config"), 6), ids=lambda junk: junk.name
)
def test_a_session_beside_it_goes_on_as_if_nothing_were(plain: World, junk: Junk) -> None:
    plain.put(junk)
    found = {
        name: plain.timed(partial(operation, plain))
        for name, operation in NEIGHBOURLY.items()
        if name not in suffering_from(junk)
    }
    assert {name: answer for name, answer in found.items() if answer is not True} == {}


def test_the_corpus_is_large() -> None:
    combinations = sum(junk.key in ASKED_ABOUT.get(name, {junk.key}) for junk in CORPUS for name in OPERATIONS)
    assert combinations > 10_000
