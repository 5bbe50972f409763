"""Where keys are kept: what is there, what is rotated, and that nothing is left of what was shredded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from strands_session_log import KeyDirectory, LocalKeys, SessionLog, WrappedKeys, errors
from strands_session_log.encryption import directory
from strands_session_log.encryption.data_key import aes
from strands_session_log.files import open_named
from support import wait_until

from .conftest import Opened
from .helpers import SECRET, begin, message, note, texts


class Service:
    """A key service: it wraps and unwraps, and can be away."""

    def __init__(self) -> None:
        self.key, self.asked, self.is_away = os.urandom(32), list[Mapping[str, str]](), False

    def wrap(self, secret: bytes, context: Mapping[str, str]) -> bytes:
        return self._answer(context, lambda bound: b"wrapped" + aes(self.key).encrypt(bytes(12), secret, bound))

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        return self._answer(context, lambda bound: aes(self.key).decrypt(bytes(12), wrapped[7:], bound))

    def _answer(self, context: Mapping[str, str], give: Callable[[bytes], bytes]) -> bytes:
        if self.is_away:
            raise ConnectionError("the key service is away")
        self.asked.append(context)
        return give(repr(sorted(context.items())).encode())


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def wrapped(service: Service, tmp_path: Path) -> WrappedKeys:
    return WrappedKeys(KeyDirectory(tmp_path / "wrapped"), wrap=service.wrap, unwrap=service.unwrap, name="alias/log")


def files(keys: LocalKeys) -> dict[str, bytes]:
    return {str(file.relative_to(keys.path)): file.read_bytes() for file in keys.path.rglob("*") if file.is_file()}


def test_a_session_gets_a_key_when_it_is_first_written_to(keys: LocalKeys, encrypted: SessionLog) -> None:
    assert list(keys.all_keys()) == []
    begin(encrypted)
    begin(encrypted, "t")
    assert sorted(one.session_id for one in keys.all_keys()) == ["s", "t"]
    assert [len(one.keys) for one in keys.all_keys()] == [1, 1]


def test_nobody_else_may_read_the_files(keys: LocalKeys, encrypted: SessionLog) -> None:
    begin(encrypted)
    assert {file.stat().st_mode & 0o077 for file in keys.path.rglob("*")} == {0}


def test_no_key_stands_there_that_is_not_wrapped(keys: LocalKeys) -> None:
    secrets = list[bytes]()
    original = keys._wrap

    def spying(secret: bytes, context: Mapping[str, str]) -> bytes:
        secrets.append(secret)
        return original(secret, context)

    keys._wrap = spying
    keys.create("s")
    assert len(secrets) == 1
    assert all(secrets[0] not in content for content in files(keys).values())


def test_a_new_data_key_is_for_what_follows_and_all_stays_readable(
    keys: LocalKeys, encrypted: SessionLog, opened: Opened
) -> None:
    begin(encrypted)
    first = keys.current("s")
    second = keys.rotate("s")
    encrypted.append("s", message(2, "later"))
    assert first is not None
    assert first.id != second.id
    assert texts(opened(LocalKeys(keys.path))) == [SECRET, f"{SECRET} again", "later"]
    assert encrypted.verify("s").ok


def test_a_new_master_key_rewrites_no_content(keys: LocalKeys, encrypted: SessionLog, opened: Opened) -> None:
    begin(encrypted)
    begin(encrypted, "t")
    master, bodies = files(keys)["master.key"], [one.link for one in encrypted.read("s")]
    assert keys.rotate_master() == 2
    assert files(keys)["master.key"] != master
    assert len(keys.master_ids) == 1
    assert {key.wrapper for one in keys.all_keys() for key in one.keys} == {*keys.master_ids}
    assert [one.link for one in encrypted.read("s")] == bodies
    encrypted.append("s", message(2, "later"))
    assert texts(opened(LocalKeys(keys.path))) == [SECRET, f"{SECRET} again", "later"]


def test_a_rotation_that_was_interrupted_is_finished_by_the_next(keys: LocalKeys) -> None:
    made = [keys.create(f"s-{number}").id for number in range(4)]

    def interrupt(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keys.rotate_master(interrupt)
    assert len(keys.master_ids) == 2
    assert all(LocalKeys(keys.path).find(f"s-{number}", made[number]) for number in range(4))
    newest = keys.master_ids[0]
    assert keys.rotate_master() == 4
    assert [*keys.master_ids] == [newest]
    assert all(LocalKeys(keys.path).find(f"s-{number}", made[number]) for number in range(4))


def test_keys_that_are_made_while_the_master_key_is_rotated_can_be_opened_afterwards(keys: LocalKeys) -> None:
    def make(number: int) -> bytes:
        return LocalKeys(keys.path).create(f"s-{number}").id

    with ThreadPoolExecutor(8) as pool:
        made = pool.map(make, range(60))
        rotated = [pool.submit(LocalKeys(keys.path).rotate_master) for _ in range(3)]
        ids = list(made)
        for one in rotated:
            one.result()
    fresh = LocalKeys(keys.path)
    assert len(fresh.master_ids) == 1
    assert all(fresh.find(f"s-{number}", id_) for number, id_ in enumerate(ids))


def test_a_record_that_is_replaced_while_it_is_read_is_read_anew(
    keys: LocalKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = keys.create("s").id
    others = LocalKeys(keys.path)

    def open_late(file: Path) -> BinaryIO:
        monkeypatch.undo()
        opened = open_named(file)
        others.rotate_master()
        return opened

    monkeypatch.setattr(directory, "open_named", open_late)
    assert [one.session_id for one in keys.all_keys()] == ["s"]
    monkeypatch.setattr(directory, "open_named", open_late)
    assert LocalKeys(keys.path).find("s", made)


def test_who_makes_a_key_at_the_same_time_gets_the_same(keys: LocalKeys) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = {key.id for key in pool.map(lambda _: LocalKeys(keys.path).create("s"), range(16))}
    assert len(made) == 1


def test_after_shredding_nobody_reads_it_and_the_error_says_why(keys: LocalKeys, encrypted: SessionLog) -> None:
    begin(encrypted)
    encrypted.fork("s", None, "fork")
    assert keys.shred("s", reason="request 4711", by="privacy") == 1
    for session_id in ("s", "fork"):
        with pytest.raises(errors.KeyShreddedError, match=r"'s' was shredded at .* by privacy: request 4711"):
            encrypted.state(session_id)
        assert texts(encrypted, session_id) == []
        assert encrypted.verify(session_id).ok
    with pytest.raises(errors.KeyShreddedError):
        encrypted.append("s", note())
    with pytest.raises(errors.KeyShreddedError):
        encrypted.append("fork", note())


def test_other_processes_soon_know_that_it_was_shredded(keys: LocalKeys, opened: Opened) -> None:
    ours = opened(LocalKeys(keys.path))
    begin(ours)
    assert len(texts(ours)) == 2
    keys.shred("s")
    wait_until(lambda: texts(ours) == [], "it to be unreadable")


def test_nothing_is_left_of_a_key_that_was_shredded(keys: LocalKeys) -> None:
    keys.create("s")
    file = next(keys.path.rglob("*.json"))
    (wrapped,) = keys.keys_of("s").keys
    with file.open("rb") as before:
        keys.shred("s")
        # The file that was there has no name any more; what was in it is gone as well.
        assert set(before.read()) == {0}
    assert wrapped.wrapped.hex().encode() not in b"".join(files(keys).values())
    assert keys.keys_of("s").keys == ()
    assert [one.id for one in keys.keys_of("s").shredded] == [wrapped.id]


def test_a_session_that_begins_anew_after_shredding_needs_a_new_key(keys: LocalKeys, encrypted: SessionLog) -> None:
    begin(encrypted)
    keys.shred("s")
    encrypted.delete("s")
    with pytest.raises(errors.KeyShreddedError):
        begin(encrypted)
    keys.rotate("s")
    begin(encrypted)
    assert len(texts(encrypted)) == 2
    assert encrypted.verify("s").ok


def test_shredding_what_has_no_key_changes_nothing(keys: LocalKeys) -> None:
    assert keys.shred("s") == 0
    assert list(keys.all_keys()) == []


def test_there_is_no_key_store_where_none_was_made(tmp_path: Path) -> None:
    with pytest.raises(errors.KeyStoreError, match=r"it has no master.key; make one with `session-log keys new DIR`"):
        LocalKeys(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_key_store_is_never_made_anew(keys: LocalKeys) -> None:
    before = files(keys)
    with pytest.raises(errors.KeyStoreError, match="there is a key store already"):
        LocalKeys.new(keys.path)
    assert files(keys) == before


def test_with_the_master_key_of_another_store_the_error_says_so(
    keys: LocalKeys, encrypted: SessionLog, opened: Opened, tmp_path: Path
) -> None:
    begin(encrypted)
    other = LocalKeys.new(tmp_path / "other")
    (keys.path / "master.key").write_bytes((other.path / "master.key").read_bytes())
    log = opened(LocalKeys(keys.path))
    with pytest.raises(errors.WrongKeyError, match=r"it was wrapped with master key [0-9a-f]{16}, and .* has"):
        log.state("s")
    assert texts(log) == []
    assert log.verify("s").ok


def test_a_key_service_wraps_keys_and_never_sees_content(
    service: Service, wrapped: WrappedKeys, opened: Opened
) -> None:
    log = opened(wrapped)
    begin(log)
    assert texts(log)[0] == SECRET
    (key,) = wrapped.keys_of("s").keys
    assert service.asked == [{"session_id": "s", "key_id": key.id.hex()}] * 2
    assert key.wrapper == "alias/log"


def test_a_key_service_that_is_away_is_an_error_of_its_own(
    service: Service, wrapped: WrappedKeys, opened: Opened
) -> None:
    begin(opened(wrapped))
    service.is_away = True
    fresh = opened(WrappedKeys(wrapped.records, wrap=service.wrap, unwrap=service.unwrap))
    with pytest.raises(
        errors.KeyServiceError, match=r"the keys of session 's' cannot be had: .*ConnectionError"
    ) as told:
        texts(fresh)
    assert isinstance(told.value.__cause__, ConnectionError)
    with pytest.raises(errors.KeyServiceError):
        begin(fresh, "t")
    assert fresh.verify("s").ok
    service.is_away = False
    assert len(texts(fresh)) == 2


def test_keys_of_a_service_are_wrapped_anew_with_another(service: Service, wrapped: WrappedKeys) -> None:
    key, other = wrapped.create("s"), Service()
    unwrap = lambda value, context: service.unwrap(value, context)  # noqa: E731
    moved = WrappedKeys(wrapped.records, wrap=other.wrap, unwrap=unwrap, name="alias/new")
    assert moved.rewrap("s") == 1
    assert moved.rewrap("s") == 0
    fresh = WrappedKeys(wrapped.records, wrap=other.wrap, unwrap=other.unwrap, name="alias/new")
    assert fresh.find("s", key.id) is not None


def test_what_a_service_unwraps_that_is_no_key_is_refused(service: Service, wrapped: WrappedKeys) -> None:
    key = wrapped.create("s")
    fresh = WrappedKeys(wrapped.records, wrap=service.wrap, unwrap=lambda wrapped, context: b"short")
    with pytest.raises(errors.WrongKeyError, match="no key of 32 bytes"):
        fresh.find("s", key.id)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"format":"x"}', b'{"format":"strands-session-log/keys","version":2}', b"\xff" * 40],
)
def test_a_record_that_is_none_is_told_with_its_place(keys: LocalKeys, content: bytes) -> None:
    key = keys.create("s")
    file = next(keys.path.rglob("*.json"))
    file.write_bytes(content)
    fresh = LocalKeys(keys.path)
    asks = (lambda: fresh.current("s"), lambda: fresh.find("s", key.id), lambda: keys.shred("s"), keys.rotate_master)
    for ask in asks:
        with pytest.raises(errors.KeyStoreError, match="cannot be"):
            ask()
    assert file.read_bytes() == content


def test_a_record_of_another_session_opens_nothing(keys: LocalKeys) -> None:
    ours, _ = keys.create("s"), keys.create("t")
    one, other = (keys._directory._file(name) for name in ("s", "t"))
    one.write_bytes(other.read_bytes())
    with pytest.raises(errors.KeyStoreError, match="it is the record of session 't'"):
        LocalKeys(keys.path).find("s", ours.id)
    one.write_bytes(other.read_bytes().replace(b'"t"', b'"s"'))
    (moved,) = keys.keys_of("s").keys
    with pytest.raises(errors.WrongKeyError, match=r"its file in .* was changed"):
        LocalKeys(keys.path).find("s", moved.id)
