"""A session whose content is encrypted: the same to who has the key, structure and proof to everybody else."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import orjson
import pytest

from strands_session_log import (
    Delta,
    LocalKeys,
    Recorded,
    SessionAt,
    SessionLog,
    Subscriber,
    ValkeyStorage,
    errors,
    events,
    fork_edited,
)
from strands_session_log.live import LiveTokens
from strands_session_log.testing.model import ScriptedModel
from support.clients import client_of
from support.files import content_of
from support.following import taken
from support.strands_agents import make_agent
from support.tampering import entries_of

from .conftest import Opened
from .helpers import SECRET, begin, message, note, texts


def test_who_has_the_key_reads_what_was_written(encrypted: SessionLog) -> None:
    begin(encrypted)
    assert texts(encrypted) == [SECRET, f"{SECRET} again"]
    assert encrypted.state("s").agents["a"].state == {"known": SECRET}


def test_no_entry_has_any_of_it(encrypted: SessionLog) -> None:
    begin(encrypted)
    assert all(SECRET.encode() not in value for _, entry in entries_of(encrypted) for value in entry.values())


def test_without_the_key_structure_is_known_and_content_is_not(encrypted: SessionLog, plain: SessionLog) -> None:
    begin(encrypted)
    *_, last = plain.read("s")
    assert last.event.is_sealed
    assert not last.event.has_content
    assert last.event.data == {"message_id": 1, "role": "assistant"}
    assert last.to_json()["sealed"] is True
    assert [one.id for one in plain.read("s")] == [one.id for one in encrypted.read("s")]


def test_without_the_key_the_chain_verifies(encrypted: SessionLog, plain: SessionLog) -> None:
    begin(encrypted)
    assert plain.verify("s").ok
    assert [one.event.is_sealed for one in plain.read_checked("s")] == [True] * 4


def test_without_the_key_a_state_is_an_error_that_says_so(encrypted: SessionLog, plain: SessionLog) -> None:
    begin(encrypted)
    with pytest.raises(errors.KeyMissingError, match=r"session 's' is encrypted, and no keys were given"):
        plain.state("s")


def test_with_another_key_store_the_error_names_the_key(encrypted: SessionLog, opened: Opened, tmp_path: Path) -> None:
    begin(encrypted)
    stranger = opened(LocalKeys.new(tmp_path / "other"))
    with pytest.raises(errors.KeyMissingError, match=r"the key [0-9a-f]{32} is missing"):
        stranger.state("s")
    with pytest.raises(errors.KeyMissingError, match="the key store has no key of it"):
        stranger.append("s", note())


def test_a_writer_that_does_not_encrypt_is_refused(encrypted: SessionLog, plain: SessionLog) -> None:
    begin(encrypted)
    before = plain.head("s")
    with pytest.raises(errors.SessionEncryptedError, match="session 's' is encrypted, and this writer would not"):
        plain.append("s", note())
    with pytest.raises(errors.SessionEncryptedError):
        plain.append("s", note(), once=True)
    with pytest.raises(errors.SessionEncryptedError):
        plain.append("s", note(), SessionAt(4))
    assert plain.head("s") == before


def test_what_was_written_in_clear_stays_so_and_what_follows_is_encrypted(
    encrypted: SessionLog, plain: SessionLog
) -> None:
    plain.append("s", [message(0, "in the clear")])
    encrypted.append("s", [message(1)])
    assert texts(encrypted) == ["in the clear", SECRET]
    assert texts(plain) == ["in the clear"]
    assert plain.verify("s").ok
    assert encrypted.verify("s").ok
    with pytest.raises(errors.SessionEncryptedError):
        plain.append("s", [message(2)])


def test_a_namespace_may_have_both_kinds_of_sessions(encrypted: SessionLog, plain: SessionLog) -> None:
    plain.append("clear", message(0, "in the clear"))
    begin(encrypted)
    assert texts(plain, "clear") == texts(encrypted, "clear") == ["in the clear"]
    assert [one.last_message and one.last_message.event.is_sealed for one in plain.sessions(last_message=True)] == [
        True,
        False,
    ]


def test_the_same_content_never_gives_the_same_bytes(encrypted: SessionLog) -> None:
    encrypted.append("s", [note() for _ in range(50)])
    bodies = [entry["body"] for _, entry in entries_of(encrypted)]
    assert len({body[21:33] for body in bodies}) == len(bodies)
    assert len(set(bodies)) == len(bodies)


def test_an_append_once_is_there_once(encrypted: SessionLog, opened: Opened, keys: LocalKeys) -> None:
    happened = [note(str(number)) for number in range(3)]
    for log in (encrypted, opened(keys), encrypted):
        log.append("s", happened, once=True)
    assert [one.event.data["text"] for one in encrypted.read("s")] == ["0", "1", "2"]


def test_several_writers_share_a_session(encrypted: SessionLog, opened: Opened, keys: LocalKeys) -> None:
    other = opened(keys)
    for number in range(6):
        (encrypted, other)[number % 2].append("s", message(number, str(number)))
    assert texts(encrypted) == [*"012345"]
    assert encrypted.verify("s").ok


def test_an_agent_goes_on_in_another_process(encrypted: SessionLog, opened: Opened, keys: LocalKeys) -> None:
    make_agent(encrypted, [SECRET])("Tell me.")
    resumed = make_agent(opened(keys), ["Again."])
    assert resumed.messages[1]["content"] == [{"text": SECRET}]
    resumed("And again.")
    assert encrypted.verify("s").ok


def test_an_agent_without_the_key_does_not_begin_anew(encrypted: SessionLog, plain: SessionLog) -> None:
    make_agent(encrypted, [SECRET])("Tell me.")
    with pytest.raises(Exception, match="no keys were given"):
        make_agent(plain)


def test_a_fork_is_encrypted_with_the_key_of_the_session_it_descends_from(
    encrypted: SessionLog, plain: SessionLog, opened: Opened, keys: LocalKeys
) -> None:
    begin(encrypted)
    encrypted.fork("s", 3, "fork", by=SECRET)
    opened(keys).append("fork", message(1, "another way"))
    opened(keys).fork("fork", None, "further")
    assert texts(encrypted, "further") == [SECRET, "another way"]
    assert [one.session_id for one in keys.all_keys()] == ["s"]
    assert plain.verify("fork").ok
    assert plain.verify("further").ok
    with pytest.raises(errors.EncryptionError):
        plain.fork("s", None, "no fork", allow_unanswered=True)


def test_who_erases_needs_the_key(encrypted: SessionLog, plain: SessionLog) -> None:
    begin(encrypted)
    with pytest.raises(errors.KeyMissingError):
        plain.erase("s", 3, "asked to")
    assert all(not one.event.is_erased for one in plain.read("s"))
    encrypted.erase("s", 3, SECRET)
    assert texts(encrypted) == [f"{SECRET} again"]
    assert plain.verify("s").ok
    assert all(SECRET.encode() not in value for _, entry in entries_of(encrypted) for value in entry.values())


def test_erasing_finds_copies_in_what_is_encrypted(encrypted: SessionLog) -> None:
    agent = make_agent(encrypted, [SECRET])
    agent("Tell me.")
    (said,) = (one for one in encrypted.read("s", types="message.added") if SECRET in str(one.event.data))
    encrypted.append("s", events.InvocationFailed({"error": "ValueError", "error_text": f"no {SECRET}"}, "default"))
    encrypted.erase("s", said.id, "asked to")
    assert SECRET not in str([one.event.data for one in encrypted.read("s")])


def test_a_rewind_is_encrypted_like_all_else(encrypted: SessionLog, plain: SessionLog) -> None:
    begin(encrypted)
    encrypted.rewind("s", 3, by=SECRET)
    *_, rewound = encrypted.read("s")
    assert rewound.event.data["by"] == SECRET
    assert all(one.event.is_sealed for one in plain.read("s"))


def test_the_feed_tells_no_name_that_somebody_chose(encrypted: SessionLog) -> None:
    encrypted.append("s", [events.ToolCompleted({"name": SECRET, "status": "success", "duration_ms": 7.5}, "a")])
    encrypted.append("s", [events.InvocationFailed({"error": "ValueError", "error_text": SECRET}, "a")])
    with encrypted.tail(after="-1h") as feed:
        tool, failed = taken(feed, 2)
    assert tool.facts == {"sealed": True, "status": "success", "duration_ms": 7.5}
    assert failed.facts == {"sealed": True, "error": "ValueError"}
    assert encrypted.session("s").errors == 1
    assert encrypted.verify("s", feed=True).ok


def test_the_head_names_no_tool_that_runs(encrypted: SessionLog) -> None:
    encrypted.append(
        "s", [events.InvocationStarted({"invocation": "i"}, "a"), events.ToolStarted({"name": SECRET}, "a")]
    )
    for check in (lambda: None, lambda: encrypted.recount("s")):
        check()
        (agent,) = encrypted.session("s").agents
        assert (agent.status, agent.name) == ("tool", "")


def test_a_tail_gives_content_to_who_has_the_key(encrypted: SessionLog, plain: SessionLog) -> None:
    begin(encrypted)
    with encrypted.tail("s", after=2) as ours, plain.tail("s", after=2) as theirs:
        (read,), (sealed,) = taken(ours, 1), taken(theirs, 1)
    assert read.event.data["message"]["content"] == [{"text": SECRET}]
    assert sealed.event.is_sealed


def test_a_subscriber_gets_content_if_it_has_the_key(encrypted: SessionLog, plain: SessionLog) -> None:
    begin(encrypted)
    found = {}
    for name, log in (("ours", encrypted), ("theirs", plain)):
        with Subscriber(log, name, bodies=True) as deliveries:
            for delivery in deliveries:
                assert delivery.event is not None
                found[name] = delivery.event
                delivery.ack()
                if delivery.id.revision == 4:
                    break
        assert list(log.parked(name)) == []
    assert found["ours"].data["message"]["content"] == [{"text": f"{SECRET} again"}]
    assert found["theirs"].is_sealed


def test_a_backfill_tells_of_encrypted_events_what_the_feed_does(encrypted: SessionLog) -> None:
    encrypted.append("s", [events.ToolCompleted({"name": SECRET, "duration_ms": 7.5}, "a")])
    with encrypted.tail(after="-1h") as feed:
        (told,) = taken(feed, 1)
    with Subscriber(encrypted, "g", bodies=True, start="beginning") as deliveries:
        delivery = next(iter(deliveries))
        delivery.ack()
    assert delivery.envelope.facts == told.facts
    assert delivery.event is not None
    assert delivery.event.data["name"] == SECRET


def _role(recorded: Recorded) -> object:
    return recorded.event.data["message"]["role"]


def test_what_is_being_said_is_heard_by_who_has_the_key(encrypted: SessionLog, plain: SessionLog) -> None:
    hooks = [LiveTokens(encrypted, "s", interval=0.001)]
    agent = make_agent(encrypted, [SECRET], hooks=hooks)
    agent.model = ScriptedModel([SECRET], chunk=8, pause=0.01)
    with encrypted.live("s") as ours, plain.live("s") as theirs:
        agent("Tell me.")
        heard = list[Any]()
        while not heard or isinstance(heard[-1], Delta) or _role(heard[-1]) != "assistant":
            heard += taken(ours, 1)
        # What comes after the message is in the log is not published any more.
        words = "".join(one.line.text for one in heard if isinstance(one, Delta) and one.line.kind == "text")
        assert words
        assert SECRET.startswith(words)
        assert not any(isinstance(one, Delta) for one in taken(theirs, 2))


def test_who_does_not_encrypt_publishes_no_word_of_an_encrypted_session(
    encrypted: SessionLog, plain: SessionLog
) -> None:
    live = LiveTokens(plain, "s", interval=0.001)
    agent = make_agent(encrypted, [SECRET], hooks=[live])
    agent.model = ScriptedModel([SECRET], chunk=8, pause=0.01)
    agent("Tell me.")
    live.flush(5)
    assert (live.stats.published, live.stats.dropped > 0) == (0, True)
    assert "is encrypted, and this writer would not" in live.stats.last_error


def test_a_snapshot_that_others_wrote_is_not_taken(encrypted: SessionLog) -> None:
    begin(encrypted)
    key = encrypted._events.keyspace.session("s").snapshot
    id_ = next(iter(encrypted.read("s", after=3))).id
    forged = {"points": str(id_), f"point:{id_}": b"5d" + bytes(32) + b"{}", f"needs:{id_}": ""}
    client_of(encrypted).hset(key, mapping=forged)
    assert encrypted.state("s").agents["a"].state == {"known": SECRET}


async def _written_and_read(ours: ValkeyStorage, theirs: ValkeyStorage) -> None:
    await ours.write("k", SECRET.encode())
    assert await ours.read("k") == SECRET.encode()
    with pytest.raises(Exception, match="no keys were given"):
        await theirs.read("k")


def test_what_is_stored_is_encrypted_too(encrypted: SessionLog, plain: SessionLog) -> None:
    import asyncio

    asyncio.run(_written_and_read(ValkeyStorage(encrypted), ValkeyStorage(plain)))
    value = client_of(encrypted).get(encrypted._events.keyspace.stored("k").value)
    assert SECRET.encode() not in value


def test_the_key_store_can_be_named_instead_of_given(
    encrypted: SessionLog, keys: LocalKeys, monkeypatch: pytest.MonkeyPatch, server_url: str, namespace: str
) -> None:
    begin(encrypted)
    separator = "&" if "?" in server_url else "?"
    with SessionLog.connect(f"{server_url}{separator}encryption_keys={keys.path}", namespace) as log:
        assert texts(log)[0] == SECRET
    monkeypatch.setenv("SESSION_LOG_ENCRYPTION_KEYS", str(keys.path))
    with SessionLog.connect(server_url, namespace) as log:
        assert texts(log)[0] == SECRET


def test_what_cannot_give_keys_is_refused(opened: Opened) -> None:
    with pytest.raises(errors.InvalidSettingError, match="give a KeyProvider, such as LocalKeys"):
        opened(object())  # type: ignore[arg-type]


def test_a_data_key_is_neither_shown_nor_sent_to_other_processes(keys: LocalKeys) -> None:
    key = keys.create("s")
    assert repr(key) == f"<data key {key.id.hex()} of session 's'>"
    for send in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="does not travel"):
            send(key)


def test_a_message_of_any_size_is_the_same_again(encrypted: SessionLog) -> None:
    long = "x" * 300_000
    encrypted.append("s", [message(0, ""), message(1, long)])
    assert texts(encrypted) == ["", long]
    assert orjson.loads(orjson.dumps(texts(encrypted)))[1] == long


def test_who_has_read_where_an_encrypted_session_ends_is_refused_all_the_same(
    encrypted: SessionLog, plain: SessionLog
) -> None:
    """Of events of the user's own a state holds nothing, so it can be had without the key."""
    encrypted.append("s", [note(), note()])
    assert plain.state("s").revision == 2
    with pytest.raises(errors.SessionEncryptedError):
        plain.append("s", note())


def test_a_bundle_of_it_needs_no_key_and_comes_back_encrypted(
    encrypted: SessionLog, plain: SessionLog, tmp_path: Path
) -> None:
    begin(encrypted)
    encrypted.fork("s", None, "fork")
    before = encrypted.head("s")
    bundle = tmp_path / "bundle.zip"
    with bundle.open("wb") as file:
        plain.export(["s", "fork"], file)
    assert SECRET.encode() not in content_of(bundle)
    for session_id in ("s", "fork"):
        encrypted.delete(session_id)
        client_of(encrypted).delete(encrypted._events.keyspace.session(session_id).tombstones)
    plain.import_(bundle)
    assert encrypted.head("s") == before
    assert texts(encrypted) == texts(encrypted, "fork") == [SECRET, f"{SECRET} again"]
    for session_id in ("s", "fork"):
        assert plain.verify(session_id).ok
        with pytest.raises(errors.SessionEncryptedError):
            plain.append(session_id, note())
    encrypted.append("fork", message(2, "later"))


def test_why_it_is_held_is_encrypted_too(encrypted: SessionLog, plain: SessionLog) -> None:
    begin(encrypted)
    with pytest.raises(errors.SessionEncryptedError):
        plain.retention.hold("s", reason=SECRET, by="counsel")
    encrypted.retention.hold("s", reason=SECRET, by="counsel")
    with pytest.raises(errors.SessionHeldError):
        plain.delete("s")
    encrypted.retention.release("s", reason=SECRET, by="counsel")
    assert [one.event.data["reason"] for one in encrypted.read("s", types=["session.held", "session.released"])] == [
        SECRET,
        SECRET,
    ]
    assert all(one.event.is_sealed for one in plain.read("s"))
    assert plain.verify("s").ok


def test_what_a_message_says_in_an_edited_fork_is_encrypted_as_well(encrypted: SessionLog, plain: SessionLog) -> None:
    begin(encrypted)
    said = next(one.id for one in encrypted.read("s", types="message.added"))
    made = fork_edited(encrypted, "s", None, "t", message=said, text=f"{SECRET} elsewhere")
    assert encrypted.state("t").agents["a"].messages[0].shown["content"] == [{"text": f"{SECRET} elsewhere"}]
    assert plain.event("t", made.edited).event.is_sealed
    assert SECRET.encode() not in b"".join(value for _, entry in entries_of(plain, "t") for value in entry.values())
    assert plain.verify("t").ok
