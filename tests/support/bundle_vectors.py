"""Makes `docs/vectors/bundles`: `PYTHONPATH=tests python -m support.bundle_vectors` writes it.

For who writes a verifier: bundles, whole and damaged, and what is to be said of each. In place of the verifiers they
have a line of text.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from strands_session_log import chain

from . import vectors
from .both_verifiers import python_says
from .handmade_bundles import Files, SessionFiles, files_of, zipped
from .handmade_seals import Signer, checkpoint, proof, record

FOLDER = vectors.FILE.parent / "bundles"
REPORTS = FOLDER / "reports.json"
SEALS = Signer("seals.example/vectors")
OTHER = Signer("seals.example/other")
VERIFIERS = {f"verify.{kind}": b"A bundle has a verifier here.\n" for kind in ("py", "mjs", "html")}
# A frame of zstd (RFC 8878) that holds {"text":"compressed"}, uncompressed.
FRAME = b"\x28\xb5\x2f\xfd\x20\x15\xa9\x00\x00" + b'{"text":"compressed"}'


@dataclass
class BundleVector:
    """A bundle, and what is asked of it."""

    files: Files
    expect: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        """The file."""
        return zipped(self.files)

    def told(self, data: bytes) -> dict[str, Any]:
        """What is to be said of the file."""
        code, report = python_says(data, self.expect, self.keys)
        return {"expect": self.expect, "keys": self.keys, "exit_code": code, "report": json.loads(report)}


def _sessions() -> list[SessionFiles]:
    """One with an erased event, sealed; a fork of it with withheld ones; one with a binary body."""
    made = [SessionFiles.of(one.id, one.root, one.entries) for one in vectors.made()]
    last = made[0].events[-1]
    leaves = [record(f"another {number}", 1, "1767225600000-1", last["link"]) for number in range(6)]
    leaves.insert(4, record("s-42", 7, last["id"], last["link"]))
    made[0].sealed = proof(leaves, 4, checkpoint(leaves, SEALS)), leaves[4] + b"\n", len(leaves)
    made[1].withhold(2, 4)
    return [*made, _binary()]


def _binary() -> SessionFiles:
    session = vectors.Session("s-44", "s-44")
    session.append(vectors.BEGAN, ("custom.note", "", {"text": "compressed"}))
    found = SessionFiles.of(session.id, session.root, session.entries)
    one = found.events[0]
    clear = [one[name].encode() for name in ("type", "agent", "event", "time", "v", "trace", "retained")]
    commitment = chain.commitment(chain.from_text(one["salt"]), FRAME)
    one["link"] = chain.to_text(chain.link(chain.genesis("s-44"), b"0-0", 1, clear, commitment)).decode()
    del one["body"]
    one["body_base64"] = b64encode(FRAME).decode()
    found.summarize()
    return found


def _files(*sessions: SessionFiles, **manifest: Any) -> Files:
    return files_of(*(sessions or _sessions()), verifiers=VERIFIERS, **manifest)


def _changed(at: int, **fields: str) -> Files:
    """The first session with other fields in one of its events."""
    sessions = _sessions()
    sessions[0].events[at].update(fields)
    return _files(*sessions)


def _reordered(*order: int) -> Files:
    sessions = _sessions()
    sessions[0].events[:] = [sessions[0].events[at] for at in order]
    return _files(*sessions)


def _shortened() -> Files:
    """A session of which the last events are gone, and nothing but a noted link or a seal tells."""
    session = _sessions()[0]
    del session.events[6:]
    session.sealed = None
    session.summarize()
    return _files(session)


def _put_back() -> Files:
    """Content that was erased, and is there again."""
    session = vectors.made()[0]
    id_, was = next(iter(session.was.items()))
    sessions = _sessions()
    next(one for one in sessions[0].events if one["id"] == id_).update(was)
    sessions[0].about["erased"] = 0
    return _files(*sessions)


def bundle_vectors() -> dict[str, BundleVector]:
    """All of them by name."""
    whole = _files()
    last = _sessions()[0].events[-1]
    noted = f"s-42:7:{last['link']}"
    return {
        "intact": BundleVector(whole, [noted], [SEALS.verifier_key]),
        "intact-without-keys": BundleVector(whole),
        "signed-by-another": BundleVector(whole, [], [OTHER.verifier_key]),
        "noted-otherwise": BundleVector(whole, [noted.replace("s-42:7", "s-42-other:7"), noted.replace(":7:", ":9:")]),
        "agent-changed": BundleVector(_changed(3, agent="other")),
        "body-changed": BundleVector(_changed(3, body='{"message":{"role":"assistant","content":[]}}')),
        "time-changed": BundleVector(_changed(2, id="1767225601001-3")),
        "salt-spelled-otherwise": BundleVector(_changed(0, salt=_sessions()[0].events[0]["salt"][:-1] + "x")),
        "event-missing": BundleVector(_reordered(0, 1, 2, 4, 5, 6)),
        "events-swapped": BundleVector(_reordered(0, 2, 1, 3, 4, 5, 6)),
        "event-twice": BundleVector(_reordered(0, 1, 1, 2, 3, 4, 5, 6)),
        "erased-without-a-reason": BundleVector(_reordered(0, 1, 2, 3, 4)),
        "erased-and-back": BundleVector(_put_back()),
        "shortened": BundleVector(_shortened(), [noted]),
        "shortened-and-nobody-knows": BundleVector(_shortened()),
        "another-file": BundleVector({**whole, "README.txt": b"Trust me.\n"}),
        "another-version": BundleVector(_files(version=2)),
        "a-member-twice": BundleVector({**whole, "manifest.json": whole["manifest.json"][:-1] + b',"version":1}'}),
        "one-file-more": BundleVector({**whole, "more.txt": b""}),
    }


def write() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    told = {}
    for name, vector in bundle_vectors().items():
        data = vector.data
        (FOLDER / f"{name}.zip").write_bytes(data)
        told[name] = vector.told(data)
    REPORTS.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write()
