"""Whatever stands where ciphertext, keys and records should: an error of this library, or nothing, never content."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import DataKey, LocalKeys, errors
from strands_session_log.chain import LINK_BYTES
from strands_session_log.codec import FIELDS, RawEntry, recorded
from strands_session_log.codec.sealed import MAGIC, OVERHEAD, Frame
from strands_session_log.encryption import Cipher, KeyRecord

CLEAR = (b"custom.note", b"", b"id", b"2020-01-01T00:00:00+00:00", b"1", b"", b"0-0", b"", b"salt", b"link")
BODY = b'{"text":"hidden"}'


@contextmanager
def key_store() -> Iterator[LocalKeys]:
    with tempfile.TemporaryDirectory() as directory:
        yield LocalKeys.new(Path(directory) / "keys")


with key_store() as made:
    KEYS, KEY = made, made.create("s")


class Provider:
    """Keys that are at hand already."""

    def current(self, session_id: str) -> DataKey:
        return KEY

    create = current

    def find(self, session_id: str, key_id: bytes) -> DataKey | None:
        return KEY if key_id == KEY.id else None


CIPHER = Cipher(Provider(), lambda session_id: (session_id, True))


def entry(body: bytes, id_: bytes = b"1-2") -> RawEntry:
    return id_, [part for pair in zip(FIELDS, (*CLEAR, body), strict=True) for part in pair]


def sealed() -> bytes:
    sealer = CIPHER.sealer("s")
    assert sealer is not None
    return sealer.body(bytes(LINK_BYTES), b"2", b"0-0", (*CLEAR[:6], b""), BODY)


def test_what_was_not_changed_opens() -> None:
    (opened,) = CIPHER.opened("s", [entry(sealed())], is_strict=True)
    assert recorded(opened).event.data == {"text": "hidden"}


@given(st.data())
def test_a_frame_that_was_changed_never_opens(data: st.DataObject) -> None:
    whole = sealed()
    frame = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(len(MAGIC), len(frame) - 1))
        frame[at] ^= data.draw(st.integers(1, 255))
    if bytes(frame) != whole:
        with pytest.raises(errors.EncryptionError):
            CIPHER.opened("s", [entry(bytes(frame))], is_strict=True)


@given(st.integers(0, OVERHEAD + len(BODY) + LINK_BYTES - 1))
def test_a_frame_that_was_cut_never_opens(length: int) -> None:
    cut = entry(sealed()[:length])
    with pytest.raises(errors.SessionLogError):
        recorded(*CIPHER.opened("s", [cut], is_strict=True))


@given(st.binary(max_size=200))
def test_bytes_that_begin_like_a_frame_are_an_error_and_not_content(rest: bytes) -> None:
    forged = entry(MAGIC + rest)
    with pytest.raises(errors.SessionLogError):
        CIPHER.opened("s", [forged], is_strict=True)
    try:
        (left,) = CIPHER.opened("s", [forged], is_strict=False)
    except errors.CiphertextError:
        return
    assert recorded(left).event.is_sealed


@given(st.binary(max_size=300))
def test_a_record_that_holds_anything_else_is_none(record: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        KeyRecord.parse("s", record)


@given(st.data())
def test_a_record_that_was_changed_gives_the_key_or_an_error(data: st.DataObject) -> None:
    with key_store() as keys:
        key = keys.create("s")
        file = next(keys.path.rglob("*.json"))
        content = bytearray(file.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        fresh = LocalKeys(keys.path)
        try:
            found = fresh.find("s", key.id)
        except errors.EncryptionError:
            return
        assert found is None or found.open(b"", _frame(key, b"")) == b"proof"


@given(st.data())
def test_a_master_key_that_was_changed_is_told_and_never_shown(data: st.DataObject) -> None:
    with key_store() as keys:
        keys.create("s")
        file, before = keys.path / "master.key", keys.master_ids
        content = bytearray(file.read_bytes())
        secret = content.decode().split()[-1]
        # Behind the comment.
        at = data.draw(st.integers(content.index(b"\n") + 1, len(content) - 2))
        content[at] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        told = ""
        try:
            # Of the last character two bits stand for nothing.
            assert LocalKeys(keys.path).master_ids == before
        except errors.KeyStoreError as error:
            told = str(error)
        assert secret not in told


def _frame(key: DataKey, place: bytes) -> Frame:
    return Frame.of(key.seal(place, b"proof"))
