"""Evidence bundles read as anybody would who has but docs/bundle.md: `zipfile`, `json`, `hashlib`."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from strands_session_log import SessionLog

Line = dict[str, Any]

_CLEAR = ("type", "agent", "event", "time", "v", "trace", "retained")


class Bundle:
    """A bundle that was read whole.

    Attributes:
        data: The file.
        members: Its members by name, in their order.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            self.members = {info.filename: archive.read(info) for info in archive.infolist()}
            assert len(self.members) == len(archive.infolist())

    def json(self, name: str) -> Any:
        """A member that is JSON."""
        return json.loads(self.members[name])

    @property
    def manifest(self) -> Any:
        """What it says that it has."""
        return self.json("manifest.json")

    def lines(self, number: int = 1) -> list[Line]:
        """The events of its n-th session."""
        return [json.loads(line) for line in self.members[f"sessions/{number:04}/events.jsonl"].splitlines()]


def bundle_of(log: SessionLog, *session_ids: str, **options: Any) -> Bundle:
    """Export sessions, all of them if none is named."""
    file = io.BytesIO()
    log.export(session_ids or None, file, **options)
    return Bundle(file.getvalue())


def body_of(line: Line) -> bytes:
    """A body as it stood in its entry."""
    return line["body"].encode() if "body" in line else base64.b64decode(line["body_base64"], validate=True)


def last_link(lines: list[Line], root: str) -> str:
    """The link of the last event, computed from the lines; every line must have the one that follows."""
    link = hashlib.sha256(root.encode()).digest()
    for revision, line in enumerate(lines, 1):
        commitment = hashlib.sha256(_raw(line["salt"]) + body_of(line)).digest() if line["salt"] else _raw(line["body"])
        clear = [line[name].encode() for name in _CLEAR]
        parts = [link, line["base"].encode(), b"%d" % revision, *clear, commitment]
        link = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
        assert line["link"] == base64.urlsafe_b64encode(link).rstrip(b"=").decode(), line["id"]
        assert line["id"].split("-")[1] == str(revision)
    return str(lines[-1]["link"])


def rewritten(bundle: Bundle, change: Callable[[dict[str, bytes]], object]) -> bytes:
    """A bundle with other members, and digests that fit them: what a forger makes of it."""
    members = dict(bundle.members)
    change(members)
    manifest = json.loads(members.pop("manifest.json"))
    digests = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in members.items()}
    members["manifest.json"] = json.dumps({**manifest, "files": digests}).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")
