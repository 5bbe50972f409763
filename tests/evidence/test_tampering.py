"""Bundles of a recorded session of 1,000 events, tampered with: whatever is changed is found, and where it stands.

Whoever changes them is careful: the digests in the manifest fit again. What only a link noted elsewhere can show is
shown with one.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import random
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.evidence.verifier.session import SessionCheck as Check
from support import Keyspace, vectors
from support.both_verifiers import BothVerifiers
from support.bundles import Bundle, bundle_of, rewritten
from support.handmade_bundles import SessionFiles, bundle, line

EVENTS = 1_000
FIELDS = ("id", "type", "agent", "event", "time", "v", "trace", "base", "retained", "salt", "link", "body")
Lines = list[dict[str, Any]]
Change = Callable[[Lines, int], Lines]
SAMPLE = random.Random(7)


@pytest.fixture(scope="module")
def recorded(server_url: str, keyspace: Keyspace) -> Bundle:
    """As it is exported from a server: batches of different lengths, and erasures."""
    namespace, length = f"t-{uuid.uuid4().hex[:8]}", 0
    with SessionLog.connect(server_url, namespace) as log:
        while length < EVENTS - 2:
            count = min(length % 5 + 1, EVENTS - 2 - length)
            said = [{"text": f"{length} {place}"} for place in range(count)]
            log.append("s", [events.Custom("custom.note", one, agent="a" * (length % 2)) for one in said])
            length += count
        log.erase("s", 500, "asked for")
        log.erase("s", 7, "asked for")
        found = bundle_of(log, "s")
    keyspace.delete(keyspace.under(namespace))
    assert len(found.lines()) == EVENTS
    return found


def edited(lines: Lines, at: int, field: str) -> Lines:
    """Another value of one field of one event; of its id, another time."""
    one = dict(lines[at])
    if field == "id":
        ms, _, revision = one["id"].partition("-")
        one["id"] = f"{int(ms) + 1}-{revision}"
    elif field in ("salt", "link") and one[field]:
        one[field] = ("B" if one[field][0] == "A" else "A") + one[field][1:]
    else:
        one[field] = one[field][:-1] + ("x" if one[field][-1:] != "x" else "y")
    return [*lines[:at], one, *lines[at + 1 :]]


def withheld(lines: Lines, at: int) -> Lines:
    """What was erased passed off as withheld, and what is there as erased."""
    one = dict(lines[at])
    if one["salt"]:
        salt = base64.urlsafe_b64decode(one["salt"] + "==")
        commitment = hashlib.sha256(salt + one["body"].encode()).digest()
        one.update(salt="", body=base64.urlsafe_b64encode(commitment).rstrip(b"=").decode())
    else:
        one["withheld"] = True
    return [*lines[:at], one, *lines[at + 1 :]]


def moved(lines: Lines, at: int) -> Lines:
    """One event with another time and another place in its id."""
    one = dict(lines[at])
    ms, _, revision = one["id"].partition("-")
    return [*lines[:at], {**one, "id": f"{ms}-{int(revision) + 1}"}, *lines[at + 1 :]]


def deleted(lines: Lines, at: int) -> Lines:
    return [*lines[:at], *lines[at + 1 :]]


def swapped(lines: Lines, at: int) -> Lines:
    return [*lines[:at], *lines[at : at + 2][::-1], *lines[at + 2 :]]


def doubled(lines: Lines, at: int) -> Lines:
    return [*lines[: at + 1], lines[at], *lines[at + 1 :]]


def inserted(lines: Lines, at: int) -> Lines:
    """An event that was never written, chained as well as it can be, before another one."""
    before = lines[at - 1] if at else {"id": "0-0", "link": ""}
    one = {**lines[at], "base": before["id"], "body": '{"text":"never said"}'}
    return [*lines[:at], one, *lines[at:]]


EDITS: dict[str, Change] = {
    **{f"edit {field}": partial(edited, field=field) for field in FIELDS},
    "withhold": withheld,
    "move": moved,
    "delete": deleted,
    "swap": swapped,
    "double": doubled,
    "insert": inserted,
}


def places(bundle: Bundle) -> Iterator[tuple[Check, int]]:
    """Each place of the session, and what a verifier knows before it."""
    about = bundle.manifest["sessions"][0]
    check = Check(about, {})
    for at, one in enumerate(bundle.lines()):
        yield copy.deepcopy(check), at
        check.read(line(one)[:-1])


def problems_with(check: Check, lines: Lines, at: int, change: Change, about: bytes) -> list[dict[str, Any]]:
    """What is found once an event and the few behind it are read; at the end, all of it."""
    window = lines[max(at - 1, 0) : at + 4]
    forged = change(window, at - max(at - 1, 0))
    for one in forged[at - max(at - 1, 0) :]:
        check.read(line(one)[:-1])
    found: list[dict[str, Any]] = check.report()["problems"]
    if not found:
        for one in lines[at + 4 :]:
            check.read(line(one)[:-1])
        check.finish(about)
    return found


def test_untouched_it_is_as_it_was_written(recorded: Bundle, both: BothVerifiers) -> None:
    code, report = both.report(recorded.data)
    assert code == 0, report
    assert [(one["events"], one["erased"]) for one in report["sessions"]] == [(EVENTS, 2)]


@pytest.mark.parametrize("kind", EDITS)
def test_every_change_of_every_event_is_found_where_it_is(recorded: Bundle, kind: str) -> None:
    lines, about = recorded.lines(), recorded.members["sessions/0001/session.json"]
    unfound, elsewhere = list[int](), dict[int, Any]()
    for check, at in places(recorded):
        is_last = kind == "swap" and at == EVENTS - 1
        if is_last or (kind == "withhold" and at % 50):
            # What has no content any more is suspicious only once no event was found that says why: that takes long.
            continue
        found = problems_with(check, lines, at, EDITS[kind], about)
        named = [one["revision"] for one in found if one["revision"] is not None]
        if not found:
            unfound.append(at)
        elif at < EVENTS - 1 and not {at + 1, at + 2} & {*named[:1]}:
            elsewhere[at] = found
    assert not unfound
    assert not elsewhere


@pytest.mark.parametrize("kind", EDITS)
def test_both_verifiers_find_it_in_a_bundle_of_which_all_digests_fit(
    recorded: Bundle, both: BothVerifiers, kind: str
) -> None:
    lines = recorded.lines()
    for at in (0, 6, SAMPLE.randrange(8, EVENTS - 2)):
        code, report = both.report(forged(recorded, EDITS[kind](lines, at)))
        named = [one["revision"] for one in report["sessions"][0]["problems"]]
        assert code == 1
        assert named[0] in (at + 1, at + 2), report


@pytest.mark.parametrize("kept", [0, 1, 6, 500, 998, 999])
def test_a_truncation_is_found_and_one_that_all_agrees_with_by_a_noted_link(
    recorded: Bundle, both: BothVerifiers, kept: int
) -> None:
    lines, link = recorded.lines(), recorded.manifest["sessions"][0]["link"]
    code, report = both.report(forged(recorded, lines[:kept]))
    assert code == 1, report
    if kept:
        # An erasure that is told of further on than that makes it suspicious by itself.
        whole = SessionFiles("s", "s", [dict(one) for one in lines[:kept]])
        whole.summarize()
        is_plain = all(one["salt"] for one in lines[:kept])
        assert both.report(bundle(whole))[0] == (0 if is_plain else 1)
        code, report = both.report(bundle(whole), [f"s:{EVENTS}:{link}"])
        assert code == 1
        assert report["sessions"][0]["problems"][-1]["code"] == "expected"


def test_a_chain_that_was_computed_anew_is_found_by_a_noted_link(recorded: Bundle, both: BothVerifiers) -> None:
    lines = recorded.lines()
    other = SessionFiles("s", "s", rechained(edited(lines, 300, "body")))
    other.summarize()
    assert both.report(bundle(other))[0] == 0
    noted = f"s:301:{lines[300]['link']}"
    code, report = both.report(bundle(other), [noted])
    assert code == 1
    assert [(one["code"], one["revision"]) for one in report["sessions"][0]["problems"]] == [("expected", 301)]
    assert both.report(recorded.data, [noted, f"s:{EVENTS}:{lines[-1]['link']}"])[0] == 0


def test_a_noted_session_that_is_not_there_is_told_of(recorded: Bundle, both: BothVerifiers) -> None:
    code, report = both.report(recorded.data, [f"other:with:colons:1:{recorded.lines()[0]['link']}"])
    assert code == 1
    assert report["problems"][0]["problem"] == 'session "other:with:colons" is not in the bundle'


def test_a_tombstone_that_nothing_proves_does_not_account_for_a_noted_link(both: BothVerifiers) -> None:
    whole = SessionFiles.of(vectors.made()[0].id, "s-42", vectors.made()[0].entries)
    short = whole.copy()
    del short.events[6:]
    short.summarize()
    life = {"session": "s-42", "revision": 7, "link": whole.about["link"], "deleted": 1, "first": "x"}
    short.about["tombstones"] = [life]
    noted = f"s-42:7:{whole.about['link']}"
    assert both.report(bundle(whole), [noted])[0] == 0
    assert both.report(bundle(short, deleted=[life]), [noted])[0] == 1
    assert both.report(bundle(short, deleted=[{**life, "session": "s-9"}]), [noted.replace("s-42", "s-9")])[0] == 1


def forged(recorded: Bundle, lines: Lines) -> bytes:
    """The bundle with other events, and the digests that fit them."""
    name = "sessions/0001/events.jsonl"
    return rewritten(recorded, lambda members: members.update({name: b"".join(map(line, lines))}))


def rechained(lines: Lines) -> Lines:
    """The events with the links that follow from what they hold, as a forger makes them."""
    link, made = hashlib.sha256(b"s").digest(), list[dict[str, Any]]()
    for revision, one in enumerate(lines, 1):
        salt = base64.urlsafe_b64decode(one["salt"] + "==")
        body = hashlib.sha256(salt + one["body"].encode()).digest()
        clear = [one[name].encode() for name in (*FIELDS[1:7], "retained")]
        commitment = body if salt else base64.urlsafe_b64decode(one["body"] + "==")
        parts = [link, one["base"].encode(), b"%d" % revision, *clear, commitment]
        link = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
        made.append({**one, "link": base64.urlsafe_b64encode(link).rstrip(b"=").decode()})
    return made
