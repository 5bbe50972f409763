"""Seals in bundles: what they prove is checked by both verifiers, and what is not proved is said."""

from __future__ import annotations

import io
import json
import random
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strands_session_log import SessionLog, events
from strands_session_log.evidence.verifier.seals import is_signed, root_of
from strands_session_log.seals import SealedLog, SealWriter, SigningKey
from support import handmade_seals, vectors
from support.both_verifiers import BothVerifiers
from support.handmade_bundles import SessionFiles, bundle
from support.handmade_seals import Signer, checkpoint, path_to, proof, record
from support.tampering import entries_of, put, rechained

ANNE, BERT = Signer("seals.example/anne"), Signer("seals.example/bert")
KEYS = [ANNE.verifier_key]


def session() -> SessionFiles:
    one = vectors.made()[0]
    return SessionFiles.of(one.id, one.root, one.entries)


def sealed(one: SessionFiles, up_to: int = 0, others: int = 4, index: int = 2, **changes: Any) -> SessionFiles:
    """The session with a seal of one of its events, of the last if none is named."""
    event = one.events[up_to - 1]
    told = record(one.id, up_to or len(one.events), event["id"], event["link"])
    if changes:
        told = json.dumps({**json.loads(told), **changes}).encode()
    leaves = [record(f"other-{number}", 1, "1-1", "x") for number in range(others)]
    leaves.insert(index, told)
    one.sealed = proof(leaves, index, checkpoint(leaves, ANNE, BERT)), told + b"\n", len(leaves)
    return one


def problems_in(both: BothVerifiers, one: SessionFiles, keys: list[str] = KEYS) -> list[tuple[str, int | None]]:
    code, report = both.report(bundle(one), keys=keys)
    (found,) = report["sessions"]
    assert (code == 0) is (not found["problems"]), report
    assert not found["problems"] or found["sealed"] is None or keys == []
    return [(problem["code"], problem["revision"]) for problem in found["problems"]]


def test_a_seal_says_up_to_where_and_who_signed(both: BothVerifiers) -> None:
    code, report = both.report(bundle(sealed(session(), 5)), keys=[BERT.verifier_key])
    assert code == 0
    told = {"size": 5, "revision": 5, "time": "2026-01-01T00:10:00.000Z", "signed_by": "seals.example/bert"}
    assert report["sessions"][0]["sealed"] == told


def test_without_a_key_nobody_is_said_to_have_signed(both: BothVerifiers) -> None:
    code, report = both.report(bundle(sealed(session())))
    assert code == 0
    assert report["sessions"][0]["sealed"]["signed_by"] is None


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 31, 33])
def test_a_record_is_found_wherever_it_stands_in_a_log_of_any_size(both: BothVerifiers, size: int) -> None:
    for index in {0, size // 2, size - 1}:
        assert problems_in(both, sealed(session(), others=size - 1, index=index)) == []


def test_opaque_extra_data_changes_nothing(both: BothVerifiers) -> None:
    one = sealed(session(), others=0, index=0)
    assert one.sealed
    leaves = [one.sealed[1].rstrip()]
    one.sealed = proof(leaves, 0, checkpoint(leaves, ANNE), b"\0anything"), *one.sealed[1:]
    assert problems_in(both, one) == []


def test_a_session_that_ends_before_what_was_sealed_is_not_intact(both: BothVerifiers) -> None:
    one = sealed(session())
    del one.events[5:]
    one.events[2].update(withheld=True)
    one.summarize()
    assert problems_in(both, one) == [("seal", 7)]


def test_a_session_written_anew_is_not_what_was_sealed(both: BothVerifiers) -> None:
    other = vectors.Session("s-42", "s-42")
    for revision in range(1, 8):
        other.append(vectors.BEGAN + revision, ("custom.note", "", {"text": f"never said {revision}"}))
    one, sealed_one = SessionFiles.of("s-42", "s-42", other.entries), sealed(session(), 5)
    one.sealed = sealed_one.sealed
    assert problems_in(both, one) == [("seal", 5)]


def test_another_time_of_the_last_event_is_found_by_the_seal_alone(both: BothVerifiers) -> None:
    one = sealed(session())
    ms, _, revision = one.events[-1]["id"].partition("-")
    one.events[-1]["id"] = f"{int(ms) + 1}-{revision}"
    one.summarize()
    assert problems_in(both, one) == [("seal", 7)]
    one.sealed = None
    assert problems_in(both, one) == []


OTHERWISE: list[dict[str, Any]] = [
    *({"session": "another"}, {"link": "x"}, {"id": "1-7"}, {"deleted": True}, {"time": None}),
    *({"revision": 6}, {"revision": 0}, {"revision": "7"}),
]


@pytest.mark.parametrize("change", OTHERWISE, ids=str)
def test_a_record_of_something_else_proves_nothing(both: BothVerifiers, change: dict[str, Any]) -> None:
    found = problems_in(both, sealed(session(), **change))
    assert {code for code, _ in found} == {"seal"}


def test_a_signature_of_somebody_else_is_none(both: BothVerifiers) -> None:
    carl = Signer("seals.example/carl")
    assert problems_in(both, sealed(session()), [carl.verifier_key]) == [("signature", 7)]
    liar = f"{ANNE.name}+{'00' * 4}+{b64encode(ANNE.public).decode()}"
    code, report = both.report(bundle(sealed(session())), keys=[liar])
    assert (code, report["problems"][0]["code"]) == (2, "argument")


def test_a_seal_that_the_manifest_promises_must_be_there(both: BothVerifiers) -> None:
    one = session()
    one.listed = {"sealed": 5}
    assert problems_in(both, one) == [("seal", None)]
    one = sealed(session())
    one.listed = {"sealed": 6}
    assert problems_in(both, one) == [("seal", None)]


def test_no_change_of_a_proof_or_record_is_taken_for_one(both: BothVerifiers) -> None:
    chance, one = random.Random(3), sealed(session())
    assert one.sealed
    whole = one.sealed
    for _ in range(60):
        which = chance.randrange(2)
        changed = bytearray(whole[which])
        at = chance.randrange(len(changed) - (which == 1))
        changed[at] ^= 1 << chance.randrange(8)
        one.sealed = (bytes(changed), whole[1], 5) if which == 0 else (whole[0], bytes(changed), 5)
        found = problems_in(both, one)
        # A signature of a key that was not asked for may be anything.
        assert found or (which == 0 and at > whole[0].index("— seals.example/bert".encode()))


@pytest.mark.parametrize("cut", [0, 1, 20, 23, 30, 60, 120, -1, -2, -60])
def test_a_proof_that_was_cut_off_proves_nothing(both: BothVerifiers, cut: int) -> None:
    one = sealed(session())
    assert one.sealed
    one.sealed = one.sealed[0][:cut], *one.sealed[1:]
    assert problems_in(both, one)[0][0] == "seal"


def test_inclusion_is_what_the_definition_says() -> None:
    for size in range(1, 40):
        leaves = [b"%d" % number for number in range(size)]
        hashes = [handmade_seals.root_of([leaf]) for leaf in leaves]
        for index in range(size):
            assert root_of(hashes[index], index, size, path_to(leaves, index)) == handmade_seals.root_of(leaves)


def test_signatures_are_those_that_another_library_makes() -> None:
    chance = random.Random(4)
    for length in (0, 1, 2, 100, 1000):
        key, message = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32)), chance.randbytes(length)
        public, signature = key.public_key().public_bytes_raw(), key.sign(message)
        assert is_signed(public, message, signature)
        assert not is_signed(public, message + b"x", signature)
        for at in (0, 31, 32, 63):
            other = bytearray(signature)
            other[at] ^= 1 << chance.randrange(8)
            assert not is_signed(public, message, bytes(other))


def test_no_signature_has_a_second_form() -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    public, signature = key.public_key().public_bytes_raw(), key.sign(b"text")
    order = 2**252 + 27742317777372353535851937790883648493
    larger = int.from_bytes(signature[32:], "little") + order
    assert not is_signed(public, b"text", signature[:32] + larger.to_bytes(32, "little"))
    assert not is_signed(public, b"text", signature + b"\0")
    assert not is_signed(public, b"text", b"")


SIGNING = SigningKey.make("example.com/agents")


def exported(log: SessionLog, place: Path) -> bytes:
    file = io.BytesIO()
    log.export(None, file, seals=SealedLog(place, [SIGNING.verifier]).find)
    return file.getvalue()


def told_of(both: BothVerifiers, data: bytes) -> tuple[int, list[tuple[int | None, int]]]:
    """Exit code, and of each session up to which event it is sealed and how many problems it has."""
    code, report = both.report(data, keys=[str(SIGNING.verifier)])
    seals = [(one["sealed"], one["problems"]) for one in report["sessions"]]
    return code, [(sealed and sealed["revision"], len(problems)) for sealed, problems in seals]


def test_seals_of_this_library_are_read_whatever_has_happened_since(
    log: SessionLog, tmp_path: Path, both: BothVerifiers
) -> None:
    sealer, note = SealWriter(log, tmp_path, SIGNING), events.Custom("custom.note", {"text": "said"})
    log.append("s", [note, events.Custom("custom.note", {"text": "more"})])
    sealer.seal()
    assert told_of(both, exported(log, tmp_path)) == (0, [(2, 0)])
    log.append("s", events.Custom("custom.note", {"text": "later"}))
    assert told_of(both, exported(log, tmp_path)) == (0, [(2, 0)])
    log.delete("s")
    sealer.seal()
    log.append("s", events.Custom("custom.note", {"text": "anew"}))
    assert told_of(both, exported(log, tmp_path)) == (0, [(None, 0)]), "what was sealed is another life"
    sealer.seal()
    assert told_of(both, exported(log, tmp_path)) == (0, [(1, 0)])


def test_a_whole_rewrite_by_who_runs_the_server_is_found_by_a_seal_in_the_bundle(
    log: SessionLog, tmp_path: Path, both: BothVerifiers
) -> None:
    log.append("s", [events.Custom("custom.note", {"text": text}) for text in ("one", "two", "three")])
    SealWriter(log, tmp_path, SIGNING).seal()
    forged = [(id_, {**fields, "body": fields["body"].replace(b"two", b"six")}) for id_, fields in entries_of(log, "s")]
    keys = log._events.keyspace.session("s")
    put(log, keys.events, rechained(forged))
    log.client.execute_command("HSET", keys.head, "link", rechained(forged)[-1][1]["link"])
    assert told_of(both, exported(log, tmp_path)) == (1, [(None, 1)])
