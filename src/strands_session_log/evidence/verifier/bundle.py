"""A bundle as a whole: which files it has, that they are those of the manifest, and each session in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, BinaryIO

from .archive import MIB, ArchiveReader, PackedFile, UnreadableBundleError, require
from .seals import SealKey, included, key_of
from .session import SessionCheck
from .texts import bytes_of, json_of, lines_of, quoted

FORMAT, VERSION = "strands-session-log/bundle", 1
MOST_FILE = 64 * MIB
"""How long a file is at most, but for the events and the transcript."""
_VERIFIERS = ("README.txt", "verify.py", "verify.mjs", "verify.html")
_FILES, _SEALS = ("events.jsonl", "session.json", "transcript.html"), ("seal.tlog-proof", "seal.json")
_MANIFEST = {"format", "version", "created_at", "created_by", "namespace", "filters", "sessions", "deleted", "since"}
_MANIFEST |= {"files"}
_TEXTS, _NUMBERS = ("path", "session_id", "root", "link"), ("revision", "events", "withheld", "erased")
_NO_MANIFEST = "manifest.json is not what a bundle has"

Noted = dict[str, dict[int, set[str]]]
"""Links that are expected, by session and revision."""


def verify(
    file: BinaryIO,
    expect: Iterable[str] = (),
    keys: Iterable[str] = (),
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> dict[str, Any]:
    """Verify a bundle; see docs/bundle.md for what the report says.

    Args:
        file: Opened for reading bytes; it can seek.
        expect: Links that were noted, `SESSION:REVISION:LINK`.
        keys: Verifier keys of who may have signed seals, `NAME+HASH+KEY`.
        progress: Told how many bytes of the file were read, of how many.

    Raises:
        UnreadableBundleError: When it is no bundle, or too damaged to say anything of what is in it.
    """
    check = _BundleCheck(_noted(expect), [key_of(key) for key in keys], ArchiveReader(file), progress)
    return check.report()


def manifest_in(archive: ArchiveReader) -> dict[str, Any]:
    """The manifest of a bundle that has the files it names, in their order, and no others.

    Raises:
        UnreadableBundleError: When it is no bundle.
    """
    names = [member.name for member in archive.members]
    paths = list(_paths(names))
    require(archive.members[-1].size <= MOST_FILE, "archive", f"manifest.json is longer than {MOST_FILE // MIB} MiB")
    return _manifest(b"".join(archive.read(archive.members[-1])), names, paths)


class _BundleCheck:
    def __init__(
        self, noted: Noted, keys: list[SealKey], archive: ArchiveReader, progress: Callable[[int, int], object]
    ) -> None:
        self._noted, self._keys, self._archive, self._progress = noted, keys, archive, progress
        self._members = {member.name: member for member in archive.members}
        self._manifest = manifest_in(archive)
        self._problems = list[dict[str, Any]]()

    def report(self) -> dict[str, Any]:
        """Look at everything."""
        for name in _VERIFIERS:
            self._skip(self._short(name))
        sessions = [self._session(listed) for listed in self._manifest["sessions"]]
        self._check_missing()
        ok = not self._problems and not any(one["problems"] for one in sessions)
        return {"ok": ok, "sessions": sessions, "problems": self._problems}

    def _session(self, listed: Mapping[str, Any]) -> dict[str, Any]:
        path, name = listed["path"], listed["session_id"]
        check = SessionCheck(listed, self._noted.pop(name, {}))
        about = self._whole(f"{path}/session.json")
        self._seal(path, listed, check)
        pieces = self._checked(self._members[f"{path}/events.jsonl"])
        for line in lines_of(pieces):
            check.read(line)
            if check.gave_up:
                break
        for _ in pieces:
            continue
        self._check_whole(f"{path}/session.json", about)
        self._skip(self._members[f"{path}/transcript.html"])
        check.finish(about)
        return check.report()

    def _seal(self, path: str, listed: Mapping[str, Any], check: SessionCheck) -> None:
        """Check what proves that the session was sealed, if there is such a thing."""
        if f"{path}/seal.json" not in self._members:
            if listed["sealed"] is not None:
                check.add("seal", "the manifest says that it is sealed, but the bundle has no seal of it")
            return
        proof, record = (self._whole(f"{path}/{name}") for name in _SEALS)
        for name, raw in zip(_SEALS, (proof, record)):  # noqa: B905 - Python 3.9
            self._check_whole(f"{path}/{name}", raw)
        try:
            told, found = _record(record), included(proof, record[:-1] if record[-1:] == b"\n" else record, self._keys)
        except ValueError:
            check.add("seal", "its seal proves nothing: what was sealed does not lead to the checkpoint")
            return
        if told["session"] != listed["session_id"] or found.size != listed["sealed"]:
            check.add("seal", "its seal is that of another session, or of another checkpoint than the manifest names")
        if self._keys and found.signed_by is None:
            check.add("signature", "its seal is signed by none of the given keys", told["revision"])
        check.seal = told
        where = {"size": found.size, "revision": told["revision"], "time": told["time"]}
        check.sealed = {**where, "signed_by": found.signed_by}

    def _check_missing(self) -> None:
        """What was noted of sessions that are not in the bundle.

        That its manifest or a session.json tells of a deletion accounts for nothing: no chain covers that.
        """
        for name in self._noted:
            self._problems.append({"code": "expected", "problem": f"session {quoted(name)} is not in the bundle"})

    def _whole(self, name: str) -> bytes:
        return b"".join(self._archive.read(self._short(name)))

    def _short(self, name: str) -> PackedFile:
        member = self._members[name]
        require(member.size <= MOST_FILE, "archive", f"{name} is longer than {MOST_FILE // MIB} MiB")
        return member

    def _skip(self, member: PackedFile) -> None:
        for _ in self._checked(member):
            continue

    def _checked(self, member: PackedFile) -> Iterator[bytes]:
        """What a member holds, held against the manifest once all of it was read."""
        digest, size = sha256(), 0
        for piece in self._archive.read(member):
            digest.update(piece)
            size += len(piece)
            yield piece
        self._progress(member.end, self._archive.size)
        self._check_file(member.name, digest.hexdigest(), size)

    def _check_whole(self, name: str, raw: bytes) -> None:
        self._check_file(name, sha256(raw).hexdigest(), len(raw))

    def _check_file(self, name: str, digest: str, size: int) -> None:
        told = self._manifest["files"][name]
        if (told["sha256"], told["bytes"]) != (digest, size):
            self._problems.append({"code": "file", "problem": f"{name} is not the file that the manifest names"})


def _noted(expect: Iterable[str]) -> Noted:
    found: Noted = {}
    for one in expect:
        name, _, rest = one.rpartition(":")
        name, _, number = name.rpartition(":")
        is_number = number.isascii() and number.isdigit() and len(number) <= 15 and number[0] != "0"
        is_one = name and is_number and bytes_of(rest, 32)
        require(bool(is_one), "argument", f"{quoted(one)} is not SESSION:REVISION:LINK")
        found.setdefault(name, {}).setdefault(int(number), set()).add(rest)
    return found


def _paths(names: list[str]) -> Iterator[str]:
    """The folder of each session, if all files are there, in their order, and no others."""
    place, number = len(_VERIFIERS), 0
    for at, name in enumerate(_VERIFIERS):
        _require_name("".join(names[at : at + 1]), name)
    _require_name(names[-1], "manifest.json")
    while place < len(names) - 1:
        number += 1
        path = f"sessions/{number:04d}"
        for name in (*_FILES, *(_SEALS if names[place + 3 : place + 4] == [f"{path}/{_SEALS[0]}"] else ())):
            _require_name(names[place], f"{path}/{name}")
            place += 1
        yield path


def _require_name(name: str, known: str) -> None:
    problem = f"it has other files than a bundle has, or in another order: {quoted(name)}"
    require(name == known, "layout", problem)


def _manifest(raw: bytes, names: list[str], paths: list[str]) -> dict[str, Any]:
    """The manifest.

    Raises:
        UnreadableBundleError: When it is none, or not of these files.
    """
    try:
        found = json_of(raw)
    except ValueError:
        raise UnreadableBundleError("manifest", _NO_MANIFEST) from None
    require(isinstance(found, dict) and found.get("format") == FORMAT, "manifest", _NO_MANIFEST)
    version = found.get("version")
    is_known = type(version) is int and version == VERSION
    require(is_known, "version", f"it is a bundle of version {quoted(version)}; this verifier knows version {VERSION}")
    sessions, files = found.get("sessions"), found.get("files")
    is_one = found.keys() == _MANIFEST and isinstance(sessions, list) and isinstance(files, dict)
    is_one = is_one and isinstance(found["deleted"], (list, type(None))) and list(map(_path_of, sessions)) == paths
    is_one = is_one and len({one["session_id"] for one in sessions}) == len(sessions)
    is_one = is_one and files.keys() == {*names[:-1]} and all(map(_is_file, files.values()))
    require(is_one, "manifest", _NO_MANIFEST)
    return dict(found)


def _path_of(listed: Any) -> str | None:
    """The folder of a session that the manifest lists, if it lists it as it should."""
    if not isinstance(listed, dict) or listed.keys() != {*_TEXTS, *_NUMBERS, "sealed"}:
        return None
    is_one = all(isinstance(listed[name], str) for name in _TEXTS) and type(listed["sealed"]) in (int, type(None))
    return str(listed["path"]) if is_one and all(type(listed[name]) is int for name in _NUMBERS) else None


def _is_file(told: Any) -> bool:
    is_one = isinstance(told, dict) and told.keys() == {"sha256", "bytes"}
    return is_one and isinstance(told["sha256"], str) and type(told["bytes"]) is int


def _record(raw: bytes) -> dict[str, Any]:
    """What was sealed of a session.

    Raises:
        ValueError: When it is no record of one that is there.
    """
    found = json_of(raw)
    is_one = isinstance(found, dict) and all(
        isinstance(found.get(name), str) for name in ("session", "id", "link", "time")
    )
    if not is_one or type(found.get("revision")) is not int or found["revision"] < 1 or "deleted" in found:
        raise ValueError
    return dict(found)
