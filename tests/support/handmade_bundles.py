"""Evidence bundles made by hand, whole or tampered with: all but who verifies them is left to the test."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from io import BytesIO
from typing import Any

from strands_session_log.evidence.verifiers import verifier_files

Files = dict[str, bytes]
FIELDS = ("type", "agent", "event", "time", "v", "trace", "base", "retained", "salt", "link", "body")


@dataclass
class SessionFiles:
    """What a bundle has of one session; a test changes what it likes of it.

    Attributes:
        id: The session.
        root: The one that its chain begins with.
        events: The lines of events.jsonl, parsed.
        about: session.json.
        sealed: `seal.tlog-proof`, `seal.json` and the size of the checkpoint, if it was sealed.
        listed: What the manifest says otherwise than the events do.
    """

    id: str
    root: str
    events: list[dict[str, Any]]
    about: dict[str, Any] = field(default_factory=dict)
    sealed: tuple[bytes, bytes, int] | None = None
    listed: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, id_: str, root: str, entries: Iterable[tuple[str, dict[str, str]]]) -> SessionFiles:
        """As it is written of the entries of a session."""
        found = cls(id_, root, [{"id": id_, **fields} for id_, fields in entries])
        found.summarize()
        return found

    def copy(self) -> SessionFiles:
        """Another one to be changed."""
        return copy.deepcopy(self)

    def summarize(self) -> None:
        """Make session.json what the events say."""
        forks = [number for number, one in enumerate(self.events) if one["type"] == "session.forked"]
        lineage = None
        if forks:
            before, told = self.events[forks[-1] - 1], json.loads(self.events[forks[-1]]["retained"])
            line = [json.loads(self.events[number]["retained"])["parent"] for number in forks]
            lineage = {"parent": told["parent"], "ancestors": line, "at": before["id"], "link": before["link"]}
        first, last = self.events[0], self.events[-1]
        self.about = {
            "session_id": self.id,
            "root": self.root,
            "revision": len(self.events),
            "link": last["link"],
            "created_at": instant(first["id"]),
            "last_event_at": instant(last["id"]),
            "lineage": lineage,
            "predecessor": None,
            "tombstones": [],
            "withheld": sum("withheld" in one for one in self.events),
            "erased": sum(not one["salt"] and "withheld" not in one for one in self.events),
        }

    def withhold(self, *revisions: int) -> None:
        """Leave out the content of events."""
        from strands_session_log import chain

        for revision in revisions:
            one = self.events[revision - 1]
            if one["salt"]:
                commitment = chain.commitment(chain.from_text(one["salt"]), one["body"].encode())
                one.update(salt="", body=chain.to_text(commitment).decode(), withheld=True)
        self.summarize()

    def lines(self) -> bytes:
        """The content of events.jsonl."""
        return b"".join(line(one) for one in self.events)


def line(event: dict[str, Any]) -> bytes:
    """An event as it stands in events.jsonl."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def instant(id_: str) -> str:
    """The time of an event, from its id."""
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=int(id_.partition("-")[0]))
    return at.isoformat(timespec="milliseconds")


def files_of(*sessions: SessionFiles, verifiers: Files | None = None, **manifest: Any) -> Files:
    """All members of a bundle but the manifest, in their order, and then the manifest."""
    about = {"README.txt": b"How to verify this: see docs/evidence.md\n"}
    files: Files = {**about, **(dict(verifier_files()) if verifiers is None else verifiers)}
    listed = []
    for number, one in enumerate(sessions, 1):
        path = f"sessions/{number:04d}"
        files[f"{path}/events.jsonl"] = one.lines()
        files[f"{path}/session.json"] = json.dumps(one.about, ensure_ascii=False).encode()
        files[f"{path}/transcript.html"] = b"<!doctype html><title>what was said</title>"
        if one.sealed:
            files[f"{path}/seal.tlog-proof"], files[f"{path}/seal.json"], _ = one.sealed
        told = {name: one.about.get(name) for name in ("session_id", "root", "revision", "link", "withheld", "erased")}
        size = one.sealed[2] if one.sealed else None
        listed.append({"path": path, **told, "events": len(one.events), "sealed": size, **one.listed})
    is_filtered = any(one.about.get("withheld") for one in sessions)
    told = {
        "format": "strands-session-log/bundle",
        "version": 1,
        "created_at": "2026-01-02T00:00:00.000+00:00",
        "created_by": "strands-session-log 0.1.0",
        "namespace": "strands",
        "filters": {"redact_bodies": True} if is_filtered else None,
        "sessions": listed,
        "deleted": [],
        "since": None,
        "files": {name: {"sha256": sha256(raw).hexdigest(), "bytes": len(raw)} for name, raw in files.items()},
        **manifest,
    }
    files["manifest.json"] = json.dumps(told, ensure_ascii=False).encode()
    return files


def zipped(files: Files, change: Callable[[zipfile.ZipInfo], None] = lambda info: None) -> bytes:
    """The members as the ZIP file that a bundle is."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            info = zipfile.ZipInfo(name, (2026, 1, 2, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            change(info)
            archive.writestr(info, raw)
    return file.getvalue()


def bundle(*sessions: SessionFiles, **manifest: Any) -> bytes:
    """A bundle of sessions."""
    return zipped(files_of(*sessions, **manifest))
