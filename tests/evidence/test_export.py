"""What an evidence bundle holds: all it takes to verify sessions elsewhere, whatever is left out of it."""

from __future__ import annotations

import base64
import gc
import hashlib
import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.errors import InvalidIdError, RevisionNotFoundError, SessionNotFoundError
from support.bundles import Bundle, body_of, bundle_of, last_link
from support.command_line import message
from support.tampering import entries_of, tamper

FIELDS = ("type", "agent", "event", "time", "v", "trace", "base", "retained", "salt", "link")
VERIFIERS = ("verify.py", "verify.mjs", "verify.html")


def withheld_in(bundle: Bundle) -> list[int]:
    return [number for number, line in enumerate(bundle.lines(), 1) if line.get("withheld")]


def test_a_bundle_is_one_file_whose_members_stand_in_order(talk: SessionLog) -> None:
    names = [name for name in bundle_of(talk, "s-42").members if name not in VERIFIERS]
    session = [f"sessions/0001/{name}" for name in ("events.jsonl", "session.json", "transcript.html")]
    assert names == ["README.txt", *session, "manifest.json"]


def test_its_lines_hold_what_stands_in_the_entries(talk: SessionLog) -> None:
    lines = bundle_of(talk, "s-42").lines()
    entries = entries_of(talk, "s-42")
    assert [line["id"] for line in lines] == [id_ for id_, _ in entries]
    assert [tuple(line) for line in lines] == [("id", *FIELDS, "body")] * 6
    for line, (_, fields) in zip(lines, entries, strict=True):
        assert {name: line[name].encode() for name in FIELDS} | {"body": body_of(line)} == fields


def test_it_says_where_the_session_stands(talk: SessionLog) -> None:
    bundle, anchor = bundle_of(talk, "s-42"), talk.anchor("s-42")
    stands = {"session_id": "s-42", "root": "s-42", "revision": 6, "link": anchor.link}
    counts = {"withheld": 0, "erased": 0}
    events_of = list(talk.read("s-42"))
    assert bundle.json("sessions/0001/session.json") == {
        **stands,
        "created_at": f"{events_of[0].id.time:%Y-%m-%dT%H:%M:%S}.{events_of[0].id.ms % 1000:03}Z",
        "last_event_at": f"{events_of[-1].id.time:%Y-%m-%dT%H:%M:%S}.{events_of[-1].id.ms % 1000:03}Z",
        "lineage": None,
        "predecessor": None,
        "tombstones": [],
        **counts,
    }
    assert bundle.manifest["sessions"] == [{"path": "sessions/0001", **stands, "events": 6, **counts, "sealed": None}]
    assert last_link(bundle.lines(), "s-42") == anchor.link


def test_its_manifest_has_the_digest_of_every_other_member(talk: SessionLog) -> None:
    bundle = bundle_of(talk, "s-42")
    manifest = bundle.manifest
    assert (manifest["format"], manifest["version"]) == ("strands-session-log/bundle", 1)
    assert (manifest["namespace"], manifest["filters"], manifest["since"]) == (talk.namespace, None, None)
    assert manifest["files"] == {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in bundle.members.items()
        if name != "manifest.json"
    }


@pytest.mark.parametrize(
    ("filters", "withheld"),
    [
        ({"types": "message.*"}, [1, 2]),
        ({"types": ["session.created", "agent.created"]}, [3, 4, 5, 6]),
        ({"agent": "default"}, [1]),
        ({"after": 3}, [1, 2, 3]),
        ({"until": 3}, [4, 5, 6]),
        ({"after": 2, "until": 4, "types": "message.added"}, [1, 2, 5, 6]),
        ({"redact_bodies": True}, [1, 2, 3, 4, 5, 6]),
        ({"after": "-1d"}, []),
        ({"until": "-1d"}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_what_is_filtered_out_is_withheld_and_the_chain_verifies(
    talk: SessionLog, filters: dict[str, Any], withheld: list[int]
) -> None:
    bundle = bundle_of(talk, "s-42", **filters)
    lines = bundle.lines()
    assert withheld_in(bundle) == withheld
    assert last_link(lines, "s-42") == talk.anchor("s-42").link
    for line in lines:
        assert ("withheld" in line) == (line["salt"] == "")
        assert "body" in line
        assert len(line["body"]) == 43 or "withheld" not in line
    assert bundle.manifest["sessions"][0]["withheld"] == len(withheld)
    assert bundle.manifest["sessions"][0]["erased"] == 0
    assert bundle.json("sessions/0001/session.json")["withheld"] == len(withheld)


def test_filters_stand_in_the_manifest_with_what_a_relative_time_meant(talk: SessionLog) -> None:
    filters = bundle_of(talk, "s-42", after="-1d", types="message.*", agent="default").manifest["filters"]
    day = talk.event("s-42", 1).id.time - timedelta(days=1)
    assert filters.pop("after").startswith(f"{day:%Y-%m-%dT%H}"[:10])
    assert filters == {"until": None, "types": ["message.*"], "agents": ["default"], "redact_bodies": False}


def test_without_bodies_no_member_has_a_word_of_what_was_said(talk: SessionLog) -> None:
    bundle = bundle_of(talk, "s-42", redact_bodies=True)
    assert [name for name, data in bundle.members.items() if b"jacket" in data or b"Lisbon" in data] == []


def test_withheld_is_not_erased(talk: SessionLog) -> None:
    talk.erase("s-42", 4, "asked to")
    bundle = bundle_of(talk, "s-42", types="session.created")
    lines = bundle.lines()
    assert "withheld" not in lines[3]
    assert lines[3]["salt"] == ""
    assert withheld_in(bundle) == [2, 3, 5, 6, 7]
    assert (bundle.manifest["sessions"][0]["withheld"], bundle.manifest["sessions"][0]["erased"]) == (5, 1)
    assert last_link(lines, "s-42") == talk.anchor("s-42").link


def test_a_body_that_is_no_text_is_base64(server_url: str, namespace: str) -> None:
    with SessionLog.connect(server_url, namespace, compress="zstd") as log:
        log.append("s", [events.SessionCreated({"session_id": "s"}), message(0, "user", "again " * 200)])
        bundle = bundle_of(log, "s")
        entries = entries_of(log)
    line = bundle.lines()[1]
    assert "body" not in line
    assert base64.b64decode(line["body_base64"]) == entries[1][1]["body"]
    assert last_link(bundle.lines(), "s") == line["link"]


def test_odd_json_and_lone_surrogates_stand_as_they_were_written(log: SessionLog) -> None:
    odd = {"text": "\ud800 \x00 \u2028 \x7f </script> 😀", "number": 10**40, "nan": float("nan"), "deep": [[[{}]]]}
    log.append("s", events.Custom("custom.odd", odd))
    (line,), ((_, fields),) = bundle_of(log, "s").lines(), entries_of(log)
    assert body_of(line) == fields["body"]


def test_a_fork_names_what_it_was_made_of(talk: SessionLog) -> None:
    talk.fork("s-42", 3, "fork", allow_unanswered=True)
    talk.append("fork", message(1, "assistant", "A coat."))
    bundle = bundle_of(talk, "fork", "s-42")
    third = talk.event("s-42", 3)
    about = bundle.json("sessions/0001/session.json")
    assert about["root"] == "s-42"
    assert about["lineage"] == {"parent": "s-42", "ancestors": ["s-42"], "at": str(third.id), "link": third.link}
    assert last_link(bundle.lines(1), "s-42") == talk.anchor("fork").link
    assert last_link(bundle.lines(2), "s-42") == talk.anchor("s-42").link


def test_earlier_lives_of_an_id_are_told_without_the_token_of_who_deleted_them(talk: SessionLog) -> None:
    before = talk.anchor("s-42")
    talk.delete("s-42", reason="a test", by="ada")
    talk.append("s-42", events.SessionCreated({"session_id": "s-42"}))
    about = bundle_of(talk, "s-42").json("sessions/0001/session.json")
    (life,) = about["tombstones"]
    assert set(life) == {"session", "revision", "link", "first", "deleted", "clock", "by", "reason"}
    assert (life["session"], life["revision"], life["link"], life["by"]) == ("s-42", 6, before.link, "ada")
    assert about["predecessor"] == f"{life['deleted']} 6 {before.link}"


def test_several_sessions_have_a_folder_each_and_none_stands_twice(talk: SessionLog) -> None:
    talk.append("another", events.SessionCreated({"session_id": "another"}))
    bundle = bundle_of(talk, "another", "s-42", "another")
    assert [(one["path"], one["session_id"]) for one in bundle.manifest["sessions"]] == [
        ("sessions/0001", "another"),
        ("sessions/0002", "s-42"),
    ]
    assert {one["session_id"] for one in bundle_of(talk).manifest["sessions"]} == {"another", "s-42"}


def test_what_is_not_there_is_refused_before_anything_is_written(talk: SessionLog) -> None:
    file = io.BytesIO()
    with pytest.raises(SessionNotFoundError, match="s-43"):
        talk.export("s-43", file)
    with pytest.raises(RevisionNotFoundError):
        talk.export("s-42", file, after=99)
    with pytest.raises(InvalidIdError):
        talk.export("a\nb", file)
    assert file.getvalue() == b""


def test_a_failed_export_is_no_archive(talk: SessionLog) -> None:
    file = io.BytesIO()
    with pytest.raises(SessionNotFoundError):
        talk.export(["s-42", "s-43"], file)
    gc.collect()
    assert file.getvalue()
    assert not zipfile.is_zipfile(file)


def test_an_empty_namespace_makes_a_bundle_without_sessions(log: SessionLog) -> None:
    assert bundle_of(log).manifest["sessions"] == []


def test_a_session_that_is_not_what_was_written_is_exported_and_said_to_be(talk: SessionLog) -> None:
    tamper(talk, 3, lambda fields: {**fields, "body": fields["body"].replace(b"pack", b"sell")}, "s-42")
    file = io.BytesIO()
    (found,) = talk.export("s-42", file).sessions
    assert "is not what was written" in found.problems[0]
    assert "sell" in Bundle(file.getvalue()).lines()[2]["body"]


class WhenFirstWritten(io.BytesIO):
    """A file during whose first write something happens."""

    def __init__(self, then: Any) -> None:
        super().__init__()
        self._then = then

    def write(self, data: Any) -> int:
        then, self._then = self._then, None
        if then:
            then()
        return super().write(data)


def test_what_is_erased_while_a_session_is_exported_is_withheld_and_raises_no_alarm(talk: SessionLog) -> None:
    file = WhenFirstWritten(lambda: talk.erase("s-42", 4, "meanwhile"))
    (found,) = talk.export("s-42", file).sessions
    bundle = Bundle(file.getvalue())
    assert found.problems == ()
    assert (found.revision, found.withheld, found.erased) == (6, 1, 0)
    assert withheld_in(bundle) == [4]
    assert last_link(bundle.lines(), "s-42") == found.link
    assert "Let me look" not in file.getvalue().decode(errors="replace")


def test_content_that_is_gone_without_a_word_is_not_passed_off_as_withheld(talk: SessionLog) -> None:
    def wipe(fields: Any) -> Any:
        from support.tampering import forge_erased

        return forge_erased(fields, b"%s")

    tamper(talk, 4, wipe, "s-42")
    file = io.BytesIO()
    (found,) = talk.export("s-42", file).sessions
    assert (found.withheld, found.erased) == (0, 1)
    assert "was erased, but nothing tells why" in found.problems[0]


def test_what_is_appended_meanwhile_is_not_in_it(talk: SessionLog) -> None:
    file = WhenFirstWritten(lambda: talk.append("s-42", message(4, "user", "Thanks.")))
    (found,) = talk.export("s-42", file).sessions
    assert (found.revision, found.problems) == (6, ())
    assert json.loads(Bundle(file.getvalue()).members["manifest.json"])["sessions"][0]["events"] == 6
