"""Bundles of somebody who means harm: both verifiers give one answer, soon, in little memory, and never a wrong ok."""

from __future__ import annotations

import io
import json
import random
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strands_session_log.evidence.verifiers import verifier_files
from support import vectors
from support.both_verifiers import BothVerifiers
from support.handmade_bundles import Files, SessionFiles, bundle, files_of, line, zipped
from support.sampling import sampled

GIB = 1024**3
ENOUGH = GIB // 2
"""So much memory a verifier may take, all that Python itself takes included."""
EVENTS, ABOUT = "sessions/0001/events.jsonl", "sessions/0001/session.json"


def sessions() -> list[SessionFiles]:
    """A session of which something was erased, and a fork of it."""
    return [SessionFiles.of(one.id, one.root, one.entries) for one in vectors.made()]


WHOLE = bundle(*sessions())
MEMBERS = files_of(*sessions())


def in_one_pass(files: Files) -> bytes:
    """As an exporter writes it that cannot go back: sizes stand behind each member, in 64 bits."""

    class OneWay(io.RawIOBase):
        written = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.written += data
            return len(data)

    file = OneWay()
    file.written = bytearray()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(raw)
    return bytes(file.written)


BASES = {"sizes in front": WHOLE, "sizes behind": in_one_pass(MEMBERS)}


def content_of(data: bytes) -> Files:
    """What others find in the file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def check(both: BothVerifiers, data: bytes) -> int:
    """One answer of both; fine is only what holds the same as before."""
    code, report = both.report(data)
    assert code in (0, 1, 2)
    assert (code == 0) is report["ok"]
    assert bool(report["sessions"]) is (code != 2)
    if code == 0:
        assert content_of(data) == MEMBERS
    return code


@pytest.mark.parametrize("base", BASES)
def test_whole_it_is_fine(both: BothVerifiers, base: str) -> None:
    assert check(both, BASES[base]) == 0


@pytest.mark.parametrize("base", sampled(BASES, 3))
def test_flipped_bits_are_noticed_unless_they_mean_nothing(both: BothVerifiers, base: str) -> None:
    data, chance = BASES[base], random.Random(11)
    directory = data.rindex(b"PK\1\2", 0, data.rindex(b"PK\5\6"))
    for _ in range(150):
        at = chance.choice([chance.randrange(len(data)), chance.randrange(directory, len(data))])
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        check(both, bytes(changed))


@pytest.mark.parametrize("base", BASES)
def test_what_is_cut_off_or_put_in_is_noticed(both: BothVerifiers, base: str) -> None:
    data, chance = BASES[base], random.Random(12)
    for length in (0, 1, 21, 22, 97, 98, len(data) - 1, *(chance.randrange(len(data)) for _ in range(20))):
        assert check(both, data[:length]) == 2
        assert check(both, data[length:]) == 2 or not length
    for _ in range(20):
        at = chance.randrange(len(data))
        assert check(both, data[:at] + chance.randbytes(chance.randrange(1, 40)) + data[at:]) == 2


def appended(name: str, raw: bytes = b"x", **info: Any) -> Callable[[], bytes]:
    """One more member, before the manifest."""

    def made() -> bytes:
        def change(one: zipfile.ZipInfo) -> None:
            for key, value in info.items() if one.filename == name else ():
                setattr(one, key, value)

        files = dict(MEMBERS)
        manifest = files.pop("manifest.json")
        return zipped({**files, name: raw, "manifest.json": manifest}, change)

    return made


def changed_everywhere(name: str, **info: Any) -> Callable[[], bytes]:
    """Another kind of member."""

    def change(one: zipfile.ZipInfo) -> None:
        for key, value in info.items() if one.filename == name else ():
            setattr(one, key, value)

    return lambda: zipped(MEMBERS, change)


def patched(find: bytes, put: bytes, count: int = 1) -> Callable[[], bytes]:
    """Other bytes of the same length."""
    assert len(find) == len(put)
    return lambda: WHOLE.replace(find, put, count)


def with_comment() -> bytes:
    file = io.BytesIO(WHOLE)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"nothing to see here"
    return file.getvalue()


def twice() -> bytes:
    file = io.BytesIO(WHOLE)
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(EVENTS, b"")
    return file.getvalue()


def overlapping() -> bytes:
    """Two entries of the list lead to the same member."""
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as archive:
        offsets = [info.header_offset for info in archive.infolist()]
    data = bytearray(WHOLE)
    at = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    struct.pack_into("<L", data, at + 42, offsets[0])
    return bytes(data)


def central(place: int, form: str, value: int) -> Callable[[], bytes]:
    """Another number in the first entry of the list."""

    def made() -> bytes:
        data = bytearray(WHOLE)
        struct.pack_into(form, data, data.index(b"PK\1\2") + place, value)
        return bytes(data)

    return made


TRICKS: dict[str, Callable[[], bytes]] = {
    "a comment": with_comment,
    "a name twice": twice,
    "two entries for one member": overlapping,
    "one more member": appended("more.txt"),
    "a folder": appended("sessions/0001/", b""),
    "a path that leads out": appended("../../etc/cron.d/evil"),
    "a path from the root": appended("/etc/passwd"),
    "a name that is no ASCII": appended("manifest.jsön"),
    "a link": changed_everywhere("README.txt", external_attr=0o120777 << 16),
    "a device": changed_everywhere("README.txt", external_attr=0o060644 << 16),
    "another way to pack": changed_everywhere("README.txt", compress_type=zipfile.ZIP_BZIP2),
    "another member inside": patched(b"README.txt", b"README.tx_"),
    "an encrypted member": central(8, "<H", 1),
    "another checksum": central(16, "<L", 1),
    "another packed size": central(20, "<L", 1),
    "another size": central(24, "<L", 1),
    "a size in 64 bits that is not there": central(24, "<L", 0xFFFFFFFF),
    "another disk": central(34, "<H", 1),
    "another place": central(42, "<L", 1),
    "no file": lambda: b"",
    "another kind of file": lambda: b"%PDF-1.7\n" + b"\0" * 1000,
    "an empty archive": lambda: b"PK\5\6" + bytes(18),
    "members in another order": lambda: zipped(dict(sorted(MEMBERS.items()))),
    "a manifest in front": lambda: zipped({"manifest.json": MEMBERS["manifest.json"], **MEMBERS}),
    "no manifest": lambda: zipped({name: raw for name, raw in MEMBERS.items() if name != "manifest.json"}),
    "no events": lambda: zipped({name: raw for name, raw in MEMBERS.items() if name != EVENTS}),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_zip_file_that_is_two_things_at_once_is_refused(both: BothVerifiers, trick: str) -> None:
    code, report = both.report(TRICKS[trick]())
    assert code == 2
    assert {one["code"] for one in report["problems"]} <= {"archive", "layout"}, report


DEEP = b"[" * 100_000 + b"]" * 100_000
NO_JSON: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"hello",
    "deep": DEEP,
    "deep in a member": b'{"format":' + DEEP + b"}",
    "deeper than any language minds": b'{"a":' * 9 + b"1" + b"}" * 9,
    "a member twice": b'{"format":"strands-session-log/bundle","format":"strands-session-log/bundle"}',
    "a huge number": b'{"version":' + b"9" * 100_000 + b"}",
    "a number no float holds": b'{"version":9007199254740993}',
    "a number with an exponent": b'{"version":1e0}',
    "a fraction": b'{"version":1.0}',
    "minus zero": b'{"version":-0}',
    "a leading zero": b'{"version":01}',
    "not a number": b'{"version":NaN}',
    "infinity": b'{"version":-Infinity}',
    "a mark of byte order": b"\xef\xbb\xbf{}",
    "half a pair": b'{"format":"\\ud800"}',
    "a control character": b'{"format":"\n"}',
    "no UTF-8": b'{"format":"\xff"}',
    "UTF-16": "{}".encode("utf-16"),
    "an unknown escape": b'{"format":"\\x41"}',
    "a comma too many": b'{"format":"a",}',
    "two values": b"{}{}",
    "a list": b"[]",
    "very many values": b"[" + b"0," * 3_000_000 + b"0]",
    "another format": b'{"format":"another","version":1}',
}


@pytest.mark.parametrize("kind", NO_JSON)
def test_a_manifest_that_is_none_is_refused(both: BothVerifiers, kind: str) -> None:
    code, report = both.report(zipped({**MEMBERS, "manifest.json": NO_JSON[kind]}))
    assert (code, report["problems"][0]["code"]) == (2, "manifest")


@pytest.mark.parametrize("kind", NO_JSON)
def test_a_session_json_that_is_none_is_a_problem(both: BothVerifiers, kind: str) -> None:
    code, report = both.report(zipped({**MEMBERS, ABOUT: NO_JSON[kind]}))
    assert (code, report["problems"][0]["code"]) == (1, "file")
    assert report["sessions"][0]["problems"][0]["code"] == "summary"


@pytest.mark.parametrize("kind", NO_JSON)
def test_a_line_that_is_none_is_a_problem_at_its_place(both: BothVerifiers, kind: str) -> None:
    lines = MEMBERS[EVENTS].splitlines(keepends=True)
    raw = NO_JSON[kind].replace(b"\n", b"")
    code, report = both.report(zipped({**MEMBERS, EVENTS: b"".join([*lines[:2], raw + b"\n", *lines[3:]])}))
    first = report["sessions"][0]["problems"][0]
    assert (code, first["code"], first["revision"]) == (1, "line", 3)


def test_a_bundle_of_another_version_says_which_one_is_known(both: BothVerifiers) -> None:
    code, report = both.report(bundle(*sessions(), version=2))
    problem = "it is a bundle of version 2; this verifier knows version 1"
    assert (code, report["problems"]) == (2, [{"code": "version", "problem": problem}])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10) | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def put(found: Any, path: list[int], value: Any) -> Any:
    """The same JSON with another value somewhere."""
    if not path or not isinstance(found, (dict, list)) or not found:
        return value
    if isinstance(found, list):
        at = path[0] % len(found)
        return [*found[:at], put(found[at], path[1:], value), *found[at + 1 :]]
    name = sorted(found)[path[0] % len(found)]
    return {**found, name: put(found[name], path[1:], value)}


@settings(max_examples=75, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["manifest.json", ABOUT, EVENTS]), st.lists(st.integers(0, 20), min_size=1, max_size=4), json_values
)
def test_any_other_value_anywhere_has_one_answer(both: BothVerifiers, name: str, path: list[int], value: Any) -> None:
    files = dict(MEMBERS)
    if name == EVENTS:
        changed = put([json.loads(one) for one in files[EVENTS].splitlines()], path, value)
        files[EVENTS] = b"".join(map(line, changed if isinstance(changed, list) else [value]))
    else:
        files[name] = json.dumps(put(json.loads(files[name]), path, value)).encode()
    code, report = both.report(zipped(files))
    assert code == 0 or report["problems"] or any(one["problems"] for one in report["sessions"])
    if code == 0:
        assert {**files, "manifest.json": b""} == {**MEMBERS, "manifest.json": b""}


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_in_place_of_a_member_have_one_answer(both: BothVerifiers, raw: bytes) -> None:
    for name in (EVENTS, ABOUT, "manifest.json"):
        assert both.report(zipped({**MEMBERS, name: raw}))[0] in (1, 2)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(1, 7)), st.sets(st.integers(1, 8)))
def test_an_untouched_bundle_never_alarms_whatever_is_withheld(
    both: BothVerifiers, one: set[int], other: set[int]
) -> None:
    made = sessions()
    made[0].withhold(*one)
    made[1].withhold(*other)
    code, report = both.report(bundle(*made))
    assert code == 0, report
    assert [found["withheld"] for found in report["sessions"]] == [len(one - {3}), len(other - {3})]


def bomb(name: str, raw: bytes, size: int) -> bytes:
    """A member that becomes very large, and says so or not."""
    files = {**MEMBERS, name: b""}
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed, crc = bytearray(), 0
    for _ in range(size // len(raw)):
        packed += packer.compress(raw)
        crc = zlib.crc32(raw, crc)
    packed += packer.flush()
    data, listed = bytearray(), bytearray()
    for one, content in files.items():
        body, length = (bytes(packed), size // len(raw) * len(raw)) if one == name else (content, len(content))
        method, checksum = (8, crc) if one == name else (0, zlib.crc32(content))
        head = struct.pack("<5HLLLHH", 20, 0, method, 0, 0x21, checksum, len(body), length, len(one), 0)
        listed += b"PK\1\2\x14\3" + head + struct.pack("<HHHLL", 0, 0, 0, 0, len(data)) + one.encode()
        data += b"PK\3\4" + head + one.encode() + body
    end = struct.pack("<4HLLH", 0, 0, len(files), len(files), len(listed), len(data), 0)
    return bytes(data + listed + b"PK\5\6" + end)


BOMBS = {
    "a manifest of zeros": ("manifest.json", b"\0" * 1024, GIB // 8),
    "a session.json of brackets": (ABOUT, b"[" * 1024, GIB // 8),
    "a README of zeros": ("README.txt", b"\0" * 1024, GIB // 8),
    "events in one line": (EVENTS, b"[" * 1024, GIB // 8),
    "events of empty lines": (EVENTS, b"\n" * 1024, GIB // 8),
}


@pytest.mark.parametrize("kind", sampled(BOMBS, 2))
def test_a_bomb_takes_little_memory(both: BothVerifiers, kind: str, tmp_path: Path) -> None:
    data = bomb(*BOMBS[kind])
    assert len(data) < 2 * 1024**2
    assert both.report(data)[0] in (1, 2)
    script, path = tmp_path / "verify.py", tmp_path / "bundle.zip"
    script.write_bytes(dict(verifier_files())["verify.py"])
    path.write_bytes(data)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (ENOUGH, ENOUGH))

    command = [sys.executable, "-I", "-S", str(script), str(path)]
    found = subprocess.run(command, check=False, capture_output=True, preexec_fn=limit)
    assert (found.returncode in (1, 2), found.stderr) == (True, b"")
