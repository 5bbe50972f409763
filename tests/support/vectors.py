"""Makes `docs/vectors/sessions.json`, the same every time: `python tests/support/vectors.py` writes it.

What is left to chance or to the server's clock elsewhere is counted here; all else is as the library writes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from strands_session_log import chain
from strands_session_log.codec import FIELDS, encode
from strands_session_log.events.event import restored
from strands_session_log.keys import DEFAULT_NAMESPACE, DEFAULT_PARTITIONS, FORMAT, Keyspace, tags

FILE = Path(__file__).parents[2] / "docs" / "vectors" / "sessions.json"
BEGAN = 1_767_225_600_000  # 2026-01-01T00:00:00Z
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Said = tuple[str, str, dict[str, Any]]
"""An event: its type, its agent, its data."""


@dataclass
class Session:
    """A session as it is written; `root` is the one that its chain begins with.

    Attributes:
        id: Its id.
        root: The session id that its chain begins with.
        entries: The entries of its stream, `[id, fields]`.
        was: Salts and bodies of what was erased, by id.
    """

    id: str
    root: str
    entries: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    was: dict[str, dict[str, str]] = field(default_factory=dict)

    def append(self, ms: int, *batch: Said) -> None:
        """Append a batch at a time."""
        last = self.entries[-1] if self.entries else None
        base, link = (last[0], chain.from_text(last[1]["link"])) if last else ("0-0", chain.genesis(self.root))
        for revision, (type_, agent, data) in enumerate(batch, len(self.entries) + 1):
            id_ = f"{ms}-{revision}"
            encoded = encode(restored(type_, data, agent, _uuid(ms, revision), _time(ms), TRACE if agent else "", 1))
            salt = sha256(f"salt {self.id} {id_}".encode()).digest()[: chain.SALT_BYTES]
            clear = (*encoded.header, encoded.retained)
            link = chain.link(link, base.encode(), revision, clear, chain.commitment(salt, encoded.body))
            texts = (*encoded.header, base.encode(), encoded.retained, chain.to_text(salt), chain.to_text(link))
            names = [name.decode() for name in FIELDS]
            values = [value.decode() for value in (*texts, encoded.body)]
            self.entries.append((id_, dict(zip(names, values, strict=True))))

    def erase(self, revision: int, ms: int) -> None:
        """Erase the content of an event, and append that it was."""
        id_, fields = self.entries[revision - 1]
        self.was[id_] = {"salt": fields["salt"], "body": fields["body"]}
        commitment = chain.commitment(chain.from_text(fields["salt"]), fields["body"].encode())
        fields.update(salt="", body=chain.to_text(commitment).decode())
        self.append(ms, ("payload.erased", "", {"erased": [id_], "reason": "asked for", "by": "Grace"}))

    def fork(self, into: str, revision: int, ms: int) -> Session:
        """Begin another session with the first of its events."""
        copied = [(id_, dict(fields)) for id_, fields in self.entries[:revision]]
        made = Session(into, self.root, copied)
        at, link = copied[-1][0], copied[-1][1]["link"]
        origin = {"parent": self.id, "root": self.root, "at": at, "link": link, "session_id": into, "by": "Grace"}
        erased = [id_ for id_, fields in copied if not fields["salt"]]
        told = {"erased": erased, "reason": "asked for", "by": "Grace"}
        made.append(ms, ("session.forked", "", origin), ("payload.erased", "", told))
        return made

    def head(self, **more: str) -> dict[str, str]:
        """What stands in its head."""
        last_id, last = self.entries[-1]
        said = [one for _, one in self.entries if one["type"] == "message.added"]
        moved = [id_ for id_, one in self.entries if one["type"] in ("agent.created", "message.added")][-1]
        erased = [id_.partition("-")[2] for id_, one in self.entries if not one["salt"]]
        return {
            "revision": str(len(self.entries)),
            "link": last["link"],
            "ms": last_id.partition("-")[0],
            "created": self.entries[0][0].partition("-")[0],
            "agent:default:messages": f"0-{len(said) - 1}",
            "agent:default:moved": moved,
            "erased": f"{erased[0]}-{erased[-1]}",
            **more,
        }


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, timezone.utc).isoformat()


def _uuid(ms: int, number: int) -> str:
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-{number:012x}"


def _message(index: int, ms: int, role: str, text: str) -> Said:
    message = {"role": role, "content": [{"text": text}]}
    times = {"created_at": _time(ms), "updated_at": _time(ms)}
    return "message.added", "default", {"message": message, "message_id": index, "redact_message": None, **times}


def _agent(ms: int) -> Said:
    manager = {"__name__": "SlidingWindowConversationManager", "removed_message_count": 0}
    times = {"created_at": _time(ms), "updated_at": _time(ms)}
    idle = {"interrupt_state": {"interrupts": {}, "context": {}, "activated": False}, "model_state": {}}
    record = {"agent_id": "default", "state": {"mood": "☀"}, "conversation_manager_state": manager}
    return "agent.created", "default", {**record, "_internal_state": idle, **times}


def made() -> tuple[Session, Session]:
    """A session of which something was erased, and a fork of it that went on."""
    session, at = Session("s-42", "s-42"), BEGAN
    began = {"session_id": "s-42", "session_type": "AGENT", "created_at": _time(at), "updated_at": _time(at)}
    session.append(at, ("session.created", "", began), _agent(at))
    session.append(at + 1_000, _message(0, at + 1_000, "user", "My card is 4111 1111 1111 1111."))
    note = {"bytes": b"\x00\xff", "price": Decimal("19.90"), "large": 2**64, "lone": "\ud800", "at": float("inf")}
    session.append(at + 2_000, _message(1, at + 2_000, "assistant", "Thank you, Zoë."), ("custom.note", "", note))
    session.erase(3, at + 60_000)
    fork = session.fork("s-42-other", 5, at + 120_000)
    session.append(at + 180_000, _message(2, at + 180_000, "user", "Good bye."))
    fork.append(at + 240_000, _message(2, at + 240_000, "user", "Go on."))
    return session, fork


def vectors() -> dict[str, Any]:
    """What the file holds."""
    session, fork = made()
    at = session.entries[4][0]
    heads: Sequence[dict[str, str]] = (
        session.head(forks=f"{at} 0123456789abcdef0123456789abcdef fork s-42-other"),
        fork.head(parent="s-42", root="s-42", ancestors="s-42"),
    )
    return {
        "format": FORMAT,
        "namespace": DEFAULT_NAMESPACE,
        "partitions": DEFAULT_PARTITIONS,
        "tags": {str(count): list(tags(count)) for count in (1, 3, 16)},
        "sessions": [_told(one, head) for one, head in zip((session, fork), heads, strict=True)],
    }


def _told(session: Session, head: dict[str, str]) -> dict[str, Any]:
    keys = Keyspace(DEFAULT_NAMESPACE, DEFAULT_PARTITIONS).session(session.id)
    told = {"session": session.id, "root": session.root, "events_key": keys.events, "head_key": keys.head}
    return {**told, "entries": session.entries, "head": head, "erased": session.was}


def text() -> str:
    """The file, as text."""
    return json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
