"""Strands' storage protocol on the server of the log."""

from __future__ import annotations

import asyncio
import builtins
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("strands.storage.search", reason="this version of Strands has no storage")
from strands.storage import InMemoryStorage, Storage
from strands.storage.search import StorageSearchResult
from strands.types.exceptions import StorageError

import strands_session_log
from strands_session_log import SessionLog, ValkeyStorage, errors, events
from strands_session_log.keys import tags

EVERY_BYTE = bytes(range(256))


@pytest.fixture(params=[False, True], ids=["bytes", "decoding"])
def log(request: pytest.FixtureRequest, make_client: Callable[..., Any], namespace: str) -> SessionLog:
    """A log whose client decodes responses, and one whose client does not."""
    return SessionLog(make_client(decode_responses=request.param), namespace, allow_eviction=True)


@pytest.fixture
def storage(log: SessionLog) -> ValkeyStorage:
    return ValkeyStorage(log)


def write(storage: Storage, *keys: str, data: bytes = b"x") -> None:
    """Each call has an event loop of its own, as each sync call of an agent does."""

    async def one_by_one() -> None:
        for key in keys:
            await storage.write(key, data)

    asyncio.run(one_by_one())


def read(storage: Storage, key: str) -> bytes | None:
    return asyncio.run(storage.read(key))


def listed(storage: Storage, prefix: str = "") -> builtins.list[str]:
    return asyncio.run(storage.list(prefix))


def test_it_is_a_storage_of_strands(storage: ValkeyStorage) -> None:
    assert isinstance(storage, Storage)


@pytest.mark.parametrize("data", [b"hello", b"", EVERY_BYTE, EVERY_BYTE * 40_000], ids=["text", "none", "any", "10 MB"])
def test_what_was_written_is_read_byte_for_byte(storage: ValkeyStorage, data: bytes) -> None:
    write(storage, "key", data=data)
    assert read(storage, "key") == data


def test_a_buffer_is_kept_as_it_was_when_it_was_written(storage: ValkeyStorage) -> None:
    data: Any = bytearray(b"mutable")

    async def change_meanwhile() -> None:
        writing = asyncio.ensure_future(storage.write("key", data))
        await asyncio.sleep(0)
        data[:] = b"changed"
        await writing

    asyncio.run(change_meanwhile())
    assert read(storage, "key") == b"mutable"


def test_a_missing_key_reads_as_none(storage: ValkeyStorage) -> None:
    assert read(storage, "missing") is None


def test_writing_again_replaces_the_value_and_lists_the_key_once(storage: ValkeyStorage) -> None:
    write(storage, "key", data=b"first")
    write(storage, "key", data=b"second")
    assert read(storage, "key") == b"second"
    assert listed(storage) == ["key"]


def test_a_deleted_key_is_neither_read_nor_listed(storage: ValkeyStorage) -> None:
    write(storage, "key", "other")
    asyncio.run(storage.delete("key"))
    assert read(storage, "key") is None
    assert listed(storage) == ["other"]


def test_deleting_what_is_not_there_does_nothing(storage: ValkeyStorage) -> None:
    asyncio.run(storage.delete("missing"))
    assert listed(storage) == []


def test_an_empty_prefix_lists_every_key_in_order(storage: ValkeyStorage) -> None:
    write(storage, "b/2", "a/1", "c/3", "a", "B")
    assert listed(storage) == ["B", "a", "a/1", "b/2", "c/3"]


def test_a_prefix_lists_only_what_begins_with_it(storage: ValkeyStorage) -> None:
    write(storage, "sessions", "sessions/b", "sessions/a", "sessions0", "session", "other/sessions/x")
    assert listed(storage, "sessions/") == ["sessions/a", "sessions/b"]
    assert listed(storage, "sess") == ["session", "sessions", "sessions/a", "sessions/b", "sessions0"]
    assert listed(storage, "nothing") == []


def test_keys_are_listed_by_code_point_up_to_the_last_one(storage: ValkeyStorage) -> None:
    keys = ["é/z", "é/\U0010ffff", "é/\uffff", "é/é", "é/日本", "é/e\u0301", "é/\x00", "é/😀"]
    write(storage, *keys, "ê", "e/z")
    assert listed(storage, "é/") == sorted(keys)
    assert [read(storage, key) for key in keys] == [b"x"] * len(keys)


def test_slashes_around_a_key_and_doubled_ones_do_not_count(storage: ValkeyStorage) -> None:
    write(storage, "//foo///bar//", data=b"data")
    assert read(storage, "/foo/bar/") == b"data"
    assert listed(storage, "/foo//") == ["foo/bar"]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "must not be empty"),
        ("///", "must not be empty"),
        ("../etc/passwd", "path segments are not allowed"),
        ("foo/../bar", "path segments are not allowed"),
        ("foo\\bar", "backslashes are not allowed"),
        ("lone \ud800 surrogate", "surrogates not allowed"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused_by_every_operation(storage: ValkeyStorage, key: str, reason: str) -> None:
    for operation in (storage.write(key, b"x"), storage.read(key), storage.delete(key)):
        with pytest.raises(StorageError, match=reason):
            asyncio.run(operation)
    assert listed(storage) == []


@given(st.text("a./\\é:", max_size=8))
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_keys_and_prefixes_mean_what_they_mean_to_strands_own_storages(log: SessionLog, text: str) -> None:
    async def outcome(storage: Any) -> Any:
        for key in ("a", "a/a", "a.a", "é", ".a"):
            await storage.write(key, b"x")
        found: Any = []
        for operation in (storage.namespace, storage.list, lambda key: storage.write(key, b"y"), storage.delete):
            try:
                result = operation(text)
                found.append(await result if asyncio.iscoroutine(result) else await result.list())
            except StorageError:
                found.append(StorageError)
        return found

    ours = asyncio.run(outcome(ValkeyStorage(log)))
    assert ours == asyncio.run(outcome(InMemoryStorage()))


def test_what_cannot_be_seen_as_bytes_is_refused(storage: ValkeyStorage) -> None:
    text: Any = "text"
    with pytest.raises(StorageError, match="bytes-like"):
        asyncio.run(storage.write("key", text))


def test_a_search_ranks_what_has_most_of_the_words_first(storage: ValkeyStorage) -> None:
    write(storage, "dark-mode.md", data=b"enable dark mode in settings")
    write(storage, "theme.md", data=b"there is a mode")
    write(storage, "deploy.md", data=b"deploy to production")
    found = asyncio.run(storage.search("dark mode"))
    assert [(one.key, one.score, one.data) for one in found] == [
        ("dark-mode.md", 2, b"enable dark mode in settings"),
        ("theme.md", 1, b"there is a mode"),
    ]


class Recording:
    """A search strategy that notes what it is given."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.indexed: builtins.list[tuple[Any, str, bytes]] = []

    async def index(self, storage: Any, key: str, data: bytes, **_: Any) -> None:
        self.indexed.append((storage, key, data))
        if self.failure:
            raise self.failure

    async def search(self, storage: Any, query: str, **_: Any) -> builtins.list[StorageSearchResult]:
        return [StorageSearchResult(key=key, score=len(query)) for _, key, _ in self.indexed]


def test_a_search_strategy_is_fed_by_writes_and_answers_searches(log: SessionLog) -> None:
    strategy = Recording()
    scoped = ValkeyStorage(log, search_strategy=strategy).namespace("memory")
    write(scoped, "/deploy.md", data=b"x")
    assert strategy.indexed == [(scoped, "deploy.md", b"x")]
    assert asyncio.run(scoped.search("four")) == [StorageSearchResult(key="deploy.md", score=4)]


def test_a_value_that_could_not_be_indexed_is_written_all_the_same_and_said_to_be(log: SessionLog) -> None:
    storage = ValkeyStorage(log, search_strategy=Recording(RuntimeError("index is full")))
    with pytest.raises(StorageError, match=r"Wrote 'key' but .* index is full") as failure:
        write(storage, "key")
    assert isinstance(failure.value.__cause__, RuntimeError)
    assert read(storage, "key") == b"x"


def test_a_namespace_sees_only_what_is_below_its_prefix(storage: ValkeyStorage) -> None:
    scoped = storage.namespace("memory//").namespace("/agent/")
    write(storage, "memory/agent", "memory/agents/x", data=b"agent notes")
    write(scoped, "notes.md")
    assert listed(scoped) == ["notes.md"]
    assert [one.key for one in asyncio.run(scoped.search("agent notes"))] == ["notes.md"]
    assert read(storage, "memory/agent/notes.md") == b"x"
    asyncio.run(scoped.delete("notes.md"))
    assert listed(storage) == ["memory/agent", "memory/agents/x"]


def test_two_logs_in_different_namespaces_share_nothing(
    make_client: Callable[..., Any], new_namespace: Callable[[], str]
) -> None:
    one, other = (ValkeyStorage(SessionLog(make_client(), new_namespace(), allow_eviction=True)) for _ in range(2))
    write(one, "key")
    assert listed(other) == []


def test_values_stand_where_the_format_says(log: SessionLog, client: Any) -> None:
    write(ValkeyStorage(log), "session/é.json", data=EVERY_BYTE)
    tag = tags(16)[zlib.crc32("session/é.json".encode()) % 16]
    assert client.get(f"{log.namespace}:{{{tag}}}:storage:session/é.json") == EVERY_BYTE
    assert client.zrange(f"{log.namespace}:{{{tag}}}:storage", 0, -1, withscores=True) == [
        ("session/é.json".encode(), 0.0)
    ]


def test_a_value_that_cannot_be_listed_is_not_written_either(log: SessionLog, client: Any) -> None:
    keys = log._events.keyspace.stored("key")
    client.set(keys.listing, "no sorted set")
    with pytest.raises(StorageError, match="it is a string, not a zset") as refusal:
        write(ValkeyStorage(log), "key")
    assert isinstance(refusal.value.__cause__, errors.CorruptKeyError)
    assert client.exists(keys.value) == 0


def test_deleting_every_key_leaves_nothing_behind(log: SessionLog, client: Any) -> None:
    storage = ValkeyStorage(log)
    keys = [f"key-{number}" for number in range(40)]
    write(storage, *keys)

    async def delete() -> None:
        await asyncio.gather(*map(storage.delete, keys))

    asyncio.run(delete())
    of_the_namespace = {f"{log.namespace}:config".encode(), log._events.keyspace.layout(0).encode()}
    assert {*client.scan_iter(match=f"{log.namespace}:*", count=1000)} == of_the_namespace


def test_storage_is_no_session_and_deleting_a_session_leaves_it_alone(log: SessionLog) -> None:
    storage = ValkeyStorage(log)
    write(storage, "s")
    log.append("s", events.Custom("custom.note", {}))
    assert [session.session_id for session in log.sessions()] == ["s"]
    log.delete("s")
    assert read(storage, "s") == b"x"


def test_scripts_the_server_has_forgotten_are_sent_again(storage: ValkeyStorage, client: Any) -> None:
    write(storage, "key")
    client.script_flush()
    write(storage, "key", data=b"again")
    client.script_flush()
    asyncio.run(storage.delete("key"))
    assert read(storage, "key") is None


def test_a_strands_without_storage_is_told_which_version_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "strands_session_log.storage")
    monkeypatch.delattr(strands_session_log, "ValkeyStorage", raising=False)
    monkeypatch.setitem(sys.modules, "strands.storage", None)
    with pytest.raises(ImportError, match=r"ValkeyStorage needs strands.storage.*'strands-agents>=1\.48'"):
        _ = strands_session_log.ValkeyStorage
