"""Where a witness keeps seals, and who stamps them with the time: object stores with a lock, and `openssl ts`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from strands_session_log import SessionLog, errors, events
from strands_session_log.seals import SealDirectory, SealedLog, SealWriter, SigningKey
from strands_session_log_consumers.witness.bucket import SealBucket, store_of
from strands_session_log_consumers.witness.service import WitnessService
from strands_session_log_consumers.witness.settings import WitnessSettings
from strands_session_log_consumers.witness.timestamps import TimeStampAuthority, TimeStampError
from strands_session_log_consumers.witness.watching import Watch
from support.time_stamping import Authority, served

KEY = SigningKey.make("example.com/agents")


def note(number: int = 0) -> events.Event:
    return events.Custom("custom.note", {"number": number})


class LockedObjects(MemoryFileSystem):  # type: ignore[misc]
    """A store whose lock lets nobody change or remove an object, but the newest checkpoint."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        if self.exists(path) and not path.endswith("/checkpoint"):
            raise FileExistsError(path) if mode == "create" else PermissionError(f"{path} is locked")
        self.written.append(path)
        super().pipe_file(path, value, mode=mode, **more)

    def rm(self, *_: Any, **__: Any) -> None:
        raise PermissionError("nothing is removed")

    _rm = rm_file = rmdir = rm


@pytest.fixture
def objects() -> LockedObjects:
    return LockedObjects()


@pytest.fixture
def bucket(objects: LockedObjects) -> SealBucket:
    return SealBucket(objects, f"/{uuid4().hex}", "memory://seals")


def test_only_new_objects_are_written_but_for_the_checkpoint(
    log: SessionLog, objects: LockedObjects, bucket: SealBucket
) -> None:
    sealer = SealWriter(log, bucket, KEY)
    for number in range(300):
        log.append(f"s-{number}", note())
        if number % 50 == 0:
            assert sealer.seal().sessions
    sealer.seal()
    written = [path for path in objects.written if not path.endswith("/checkpoint")]
    assert len(written) == len(set(written))
    sealed = SealedLog(bucket, [KEY.verifier])
    assert len({one.record.session_id for one in sealed.records()}) == 300
    assert all(sealed.checkpoint_at(size) for size in sealed.sizes())
    assert [one for one in log.verify_all(against=sealed) if not one.verification.ok] == []


def test_two_who_seal_there_at_once_sign_one_tree(log: SessionLog, objects: LockedObjects, bucket: SealBucket) -> None:
    """No lock keeps them apart; what is pending does: whoever comes second finishes it, and goes on from there."""
    log.append("s", note())
    SealWriter(log, bucket, KEY).seal()

    class Overtaken(SealBucket):
        """Another one seals while this one looks."""

        def create(self, name: str, content: bytes) -> bool:
            if name.startswith("pending/"):
                SealWriter(log, bucket, KEY).seal()
            return super().create(name, content)

    log.append("s", note())
    second = Overtaken(objects, bucket._root, bucket.place)
    with pytest.raises(errors.SealBusyError):
        SealWriter(log, second, KEY).seal()
    assert SealWriter(log, bucket, KEY).seal().sessions == 0
    assert len(SealedLog(bucket, [KEY.verifier])) == 4


def test_a_checkpoint_that_an_overtaken_sealer_set_back_is_put_right_by_what_is_pending(
    log: SessionLog, objects: LockedObjects, bucket: SealBucket
) -> None:
    sizes = []
    for number in range(3):
        log.append("s", note(number))
        SealWriter(log, bucket, KEY).seal()
        sizes.append(bucket.read("checkpoint"))
    assert sizes[0]
    bucket.replace("checkpoint", sizes[0])
    assert SealWriter(log, bucket, KEY).seal().sessions == 0
    assert bucket.read("checkpoint") == sizes[2]


@pytest.mark.parametrize("error", [PermissionError("no"), OSError("gone"), RuntimeError("its own kind")])
def test_whatever_a_store_raises_is_one_typed_error(
    error: Exception, log: SessionLog, objects: LockedObjects, bucket: SealBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    log.append("s", note())
    for name in ("info", "pipe_file"):
        with monkeypatch.context() as patch:
            patch.setattr(objects, name, fail)
            with pytest.raises(errors.SealUnwritableError, match="memory://seals/"):
                SealWriter(log, bucket, KEY).seal()
    assert SealWriter(log, bucket, KEY).seal().sessions == 1


def test_a_url_names_a_directory_or_a_store(tmp_path: Path) -> None:
    for url in (str(tmp_path), f"file://{tmp_path}", f"local://{tmp_path}"):
        assert isinstance(store_of(url), SealDirectory)
    assert isinstance(store_of(f"memory://{uuid4().hex}"), SealBucket)
    with pytest.raises(errors.SealUnwritableError, match="nonsense"):
        store_of("nonsense://x")


def test_a_password_in_the_url_of_a_store_is_not_shown() -> None:
    name = uuid4().hex
    assert store_of(f"memory://ada:hunter2@{name}").place == f"memory://***@{name}"
    with pytest.raises(errors.SealUnwritableError) as told:
        store_of("nonsense://ada:hunter2@x")
    assert "hunter2" not in str(told.value)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture
def tsa(authority: Authority) -> Iterator[str]:
    authority.answer = lambda reply: reply
    with served(authority) as url:
        yield url


def test_each_checkpoint_is_stamped_and_openssl_verifies_it(
    log: SessionLog, tmp_path: Path, authority: Authority, tsa: str
) -> None:
    place = tmp_path / "seals"
    stamps = TimeStampAuthority(tsa, str(authority.roots))
    watch = Watch(log, SealDirectory(place), KEY, authority=stamps)
    for number in range(2):
        log.append("s", note(number))
        standing = watch.round()
        assert (standing.ok, standing.unstamped) == (True, "")
    assert sorted(path.name for path in (place / "timestamps").iterdir()) == ["2.tsr", "4.tsr"]
    for size in (2, 4):
        told = authority.verified(place / "timestamps" / f"{size}.tsr", place / "checkpoints" / str(size))
        assert "Verification: OK" in told
    (place / "timestamps" / "2.tsr").write_bytes((place / "timestamps" / "4.tsr").read_bytes())
    problems = [watch.round().problems for _ in range(2)][-1]
    assert "the stamp is of something else" in problems[0]


BAD: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda reply: b"",
    "no stamp": lambda reply: b"<html>",
    "cut off": lambda reply: reply[:-1],
    "a bit more": lambda reply: reply[:-9] + bytes([reply[-9] ^ 1]) + reply[-8:],
    "too much": lambda reply: reply + bytes(200_000),
    "a certificate of no version": lambda reply: reply.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x06"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_answer_that_proves_nothing_is_no_stamp_and_the_seal_goes_on(
    name: str, log: SessionLog, tmp_path: Path, authority: Authority, tsa: str
) -> None:
    authority.answer = BAD[name]
    log.append("s", note())
    stamps = TimeStampAuthority(tsa, str(authority.roots))
    service = WitnessService(Watch(log, SealDirectory(tmp_path), KEY, authority=stamps), WitnessSettings())
    standing = service.once()
    assert standing.summary.sessions == 1
    assert standing.ok
    assert "no time stamp from" in standing.unstamped
    assert service.registry.get_sample_value("strands_session_log_witness_unstamped") == 1
    authority.answer = lambda reply: reply
    assert service.once().unstamped == ""


def test_an_old_answer_and_one_of_somebody_else_are_no_stamps(tmp_path: Path, authority: Authority, tsa: str) -> None:
    stamps = TimeStampAuthority(tsa, str(authority.roots))
    old = stamps.stamp(b"content")
    authority.answer = lambda reply: old
    with pytest.raises(TimeStampError, match="answer to another request"):
        stamps.stamp(b"content")
    with pytest.raises(TimeStampError, match="something else"):
        stamps.stamp(b"other")
    other = Authority(tmp_path)
    authority.answer = lambda reply: reply
    with pytest.raises(TimeStampError, match="signed by somebody else"):
        TimeStampAuthority(tsa, str(other.roots)).stamp(b"content")
    with pytest.raises(TimeStampError, match="has no certificates"):
        TimeStampAuthority(tsa, str(tmp_path / "openssl.cnf"))
    with pytest.raises(TimeStampError, match="neither http nor https"):
        TimeStampAuthority("file:///etc/passwd")
