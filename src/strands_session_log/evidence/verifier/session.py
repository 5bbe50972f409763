"""One session of a bundle: its chain recomputed event by event, and held against what else is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from .texts import (
    CONTENT,
    ERASED,
    EVENT_ID,
    EXPLAINED,
    FIELDS,
    WITHHELD,
    bytes_of,
    event_of,
    is_instant,
    json_of,
    quoted,
    text_of,
)

MOST_PROBLEMS = 100
_COVERED = (*FIELDS[1:7], "retained")
_LENGTHS = [length.to_bytes(8, "big") for length in range(256)]
_FARTHEST = 4096
"""So far from the one before an event may claim to stand and be kept in mind; it is a problem anyway."""
_OF_SESSION = {"session_id", "root", "revision", "link", "created_at", "last_event_at"}
_OF_SESSION |= {"lineage", "predecessor", "tombstones", "withheld", "erased"}


class SessionCheck:
    """Walks the chain of a session; after a problem it goes on from what is there, so that one change is one problem.

    Args:
        listed: What the manifest says of it.
        noted: Links that are expected, by revision.

    Attributes:
        seal: The record of it that was sealed; None if none was, or its proof does not hold.
        sealed: What the report says of that.
        gave_up: Whether there is so much wrong that the rest is of no interest.
    """

    def __init__(self, listed: Mapping[str, Any], noted: Mapping[int, set[str]]) -> None:
        self.seal: dict[str, Any] | None = None
        self.sealed: dict[str, Any] | None = None
        self.gave_up = False
        self._listed, self._noted, self._problems = listed, dict(noted), list[dict[str, Any]]()
        self._link, self._text = sha256(listed["root"].encode()).digest(), ""
        self._id, self._base, self._ms, self._revision, self._events, self._began = "0-0", "", 0, 0, 0, 0
        self._states, self._forks = bytearray(1), list[dict[str, Any]]()

    def add(self, code: str, problem: str, revision: int | None = None) -> None:
        """Note what is wrong, and with which event, if it is about one."""
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append({"revision": revision, "code": code, "problem": problem})
        elif not self.gave_up:
            self.gave_up = True
            more = "there are more problems than these; the rest was not looked at"
            self._problems.append({"revision": None, "code": "more", "problem": more})

    def read(self, line: bytes) -> None:
        """Check what must be the next event."""
        due, self._events = self._revision + 1, self._events + 1
        try:
            fields, body, state = event_of(line)
            id_ = EVENT_ID.fullmatch(fields["id"])
            if id_ is None:
                raise ValueError
        except ValueError:
            self.add("line", f"line {self._events} of its events is none", due)
            self._revision, self._link, self._text, self._id = due, b"", "", ""
            return
        ms, revision = int(id_[1]), int(id_[2])
        self._check_place(fields, revision, due)
        link = self._check_link(fields, body, ms) if revision == due and self._link else b""
        if ms < self._ms:
            self.add("time", f"{_named(fields)} has an earlier time than the one before it", revision)
        before = self._id, self._text
        self._id, self._base, self._ms, self._revision = id_[0], fields["base"], max(ms, self._ms), revision
        self._link, self._text = link or bytes_of(fields["link"], 32), fields["link"]
        self._began = self._began or ms
        self._compare(fields)
        self._note(revision, state)
        self._tell(fields, *before)

    def finish(self, about: bytes) -> None:
        """There are no more events: look at them as a whole, and at session.json."""
        if self.gave_up:
            return
        for revision, state in enumerate(self._states):
            if state == ERASED:
                problem = f"the content of event {revision} was erased, and no event says so"
                self.add("unexplained", problem, revision)
        said = self._session_json(about)
        self._check_lineage(said.get("lineage"))
        for where, told in (("the manifest", self._listed), ("session.json", said)):
            self._check_summary(where, told)
        for name, ms in (("created_at", self._began), ("last_event_at", self._ms)):
            if said and not is_instant(said[name], ms):
                self.add("summary", f"session.json says {name} {quoted(said[name])}, its events have another time")
        self._check_left()

    def report(self) -> dict[str, Any]:
        """What was found."""
        is_sealed = not any(one["code"] in ("seal", "signature") for one in self._problems)
        sealed = self.sealed if is_sealed else None
        name = self._listed["session_id"]
        return {"session_id": name, **self._found(), "sealed": sealed, "problems": self._problems}

    def _found(self) -> dict[str, Any]:
        withheld, erased = self._states.count(WITHHELD), sum(map(self._states.count, (ERASED, EXPLAINED)))
        told = {"revision": self._revision, "link": self._text, "events": self._events}
        return {**told, "withheld": withheld, "erased": erased}

    def _check_summary(self, where: str, told: Mapping[str, Any]) -> None:
        names = {name: self._listed[name] for name in ("session_id", "root")}
        for name, found in {**names, **self._found()}.items():
            is_same = type(told.get(name)) is type(found) and told[name] == found
            if name in told and not is_same:
                self.add("summary", f"{where} says {name} {quoted(told[name])}, but it is {quoted(found)}")

    def _check_place(self, fields: Mapping[str, str], revision: int, due: int) -> None:
        if revision > due:
            self.add("missing", f"event {due} is missing before {_named(fields)}", due)
        elif revision < due:
            self.add("order", f"{_named(fields)} stands where event {due} must stand", due)

    def _check_link(self, fields: Mapping[str, str], body: bytes, ms: int) -> bytes:
        """Whether an event has the link that follows from it, and the base; that link, if it has."""
        salt, revision = fields["salt"], self._revision + 1
        if salt:
            raw = bytes_of(salt, 16)
            commitment = sha256(raw + body).digest() if raw else b""
        else:
            commitment = bytes_of(body.decode(), 32)
        clear = [fields[one].encode() for one in _COVERED]
        parts = (self._link, fields["base"].encode(), b"%d" % revision, *clear, commitment)
        lengths = [_LENGTHS[len(part)] if len(part) < 256 else len(part).to_bytes(8, "big") for part in parts]
        link = sha256(b"".join([one for pair in zip(lengths, parts) for one in pair])).digest()  # noqa: B905
        if not commitment:
            self.add("salt", f"{_named(fields)} has no salt or commitment that is one", revision)
            return b""
        if text_of(link) != fields["link"]:
            self.add("link", f"{_named(fields)} is not what was written: its link does not follow from it", revision)
            return b""
        if fields["base"] != self._id and (fields["base"] != self._base or ms != self._ms):
            problem = "does not follow what it was written after: a time was changed"
            self.add("base", f"{_named(fields)} {problem}", revision)
        return link

    def _compare(self, fields: Mapping[str, str]) -> None:
        """Hold an event against what was noted or sealed of it."""
        noted = self._noted.pop(self._revision, None)
        if noted is not None and noted != {fields["link"]}:
            self.add("expected", f"{_named(fields)} has another link than was noted", self._revision)
        if self.seal and self.seal["revision"] == self._revision:
            is_same = (self.seal["id"], self.seal["link"]) == (fields["id"], fields["link"])
            if not is_same:
                self.add("seal", f"{_named(fields)} is another than was sealed", self._revision)

    def _note(self, revision: int, state: int) -> None:
        room = revision + 1 - len(self._states)
        if room <= _FARTHEST:
            self._states.extend(bytes(max(room, 0)))
            self._states[revision] = state

    def _tell(self, fields: Mapping[str, str], id_before: str, link_before: str) -> None:
        """Look at an event that tells of others."""
        if fields["type"] not in ("payload.erased", "session.forked"):
            return
        try:
            told = json_of(fields["retained"].encode())
        except ValueError:
            told = None
        told = told if isinstance(told, dict) else {}
        if fields["type"] == "payload.erased":
            self._check_erased(fields, told.get("erased"))
        else:
            follows = told.get("root"), told.get("at"), told.get("link")
            if follows != (self._listed["root"], id_before, link_before):
                problem = "says that it follows another event, or another session"
                self.add("lineage", f"{_named(fields)} {problem}", self._revision)
            names = {name: told.get(name) for name in ("parent", "session_id")}
            self._forks.append({name: one if isinstance(one, str) else None for name, one in names.items()})
            self._forks[-1].update(at=id_before, link=link_before)

    def _check_erased(self, fields: Mapping[str, str], ids: Any) -> None:
        for one in ids if isinstance(ids, list) else ():
            id_ = EVENT_ID.fullmatch(one) if isinstance(one, str) else None
            revision = int(id_[2]) if id_ else self._revision
            state = self._states[revision] if revision < min(self._revision, len(self._states)) else EXPLAINED
            if state == ERASED:
                self._states[revision] = EXPLAINED
            elif state == CONTENT:
                self.add(
                    "content",
                    f"event {revision} has content, of which {_named(fields)} says that it was erased",
                    revision,
                )
            elif state == WITHHELD:
                self.add(
                    "content", f"event {revision} is withheld, but {_named(fields)} says that it was erased", revision
                )

    def _session_json(self, about: bytes) -> dict[str, Any]:
        try:
            said = json_of(about)
        except ValueError:
            said = None
        if isinstance(said, dict) and said.keys() == _OF_SESSION:
            return said
        self.add("summary", "session.json is not what a bundle has")
        return {}

    def _check_lineage(self, said: Any) -> None:
        """Whether these are the events of this session, and session.json says the same of where it comes from."""
        root, forks = self._listed["root"], self._forks
        name = forks[-1].get("session_id") if forks else root
        if name != self._listed["session_id"]:
            self.add("lineage", f"the events are those of session {quoted(name)}")
        told = said if isinstance(said, dict) else {}
        line = told.get("ancestors")
        is_same = not forks and said is None
        if forks and isinstance(line, list):
            ends = all(told.get(one) == forks[-1].get(one) for one in ("parent", "at", "link"))
            left, ended = iter(line), [*line[:1], *line[-1:]] == [root, forks[-1]["parent"]]
            is_same = ends and ended and all(fork["parent"] in left for fork in forks)
        if not is_same:
            self.add("lineage", "session.json says that it comes from elsewhere than its events say")

    def _check_left(self) -> None:
        """What was noted or sealed of events there are not."""
        for revision in sorted(self._noted):
            problem = f"a link was noted of event {revision}, but the session ends with event {self._revision}"
            self.add("expected", problem, revision)
        if self.seal and self.seal["revision"] > self._revision:
            problem = f"event {self.seal['revision']} was sealed, but the session ends with event {self._revision}"
            self.add("seal", problem, self.seal["revision"])


def _named(fields: Mapping[str, str]) -> str:
    return f"event {fields['id']} ({quoted(fields['type'])})"
