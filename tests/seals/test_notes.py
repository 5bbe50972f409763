"""Signed notes, checkpoints and proofs are those of C2SP: held against published ones, and against OpenSSL."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.errors import SealDamagedError, SealKeyError, SessionLogError
from strands_session_log.seals import Checkpoint, SealProof, SigningKey, VerifierKey, make_key_file, signing_key
from strands_session_log.seals.keys import verifier_keys
from strands_session_log.seals.note import SignedNote

# What the tests of Go's golang.org/x/mod/sumdb/note have.
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    f"{TEXT}\n\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# DER of an Ed25519 public key, up to the key.
DER = bytes.fromhex("302a300506032b6570032100")


def test_a_published_note_is_signed_and_verified_as_it_was() -> None:
    key, verifier = SigningKey.parse(PRIVATE), VerifierKey.parse(PUBLIC)
    assert (key.verifier, str(key.verifier), key.to_text()) == (verifier, PUBLIC, PRIVATE)
    assert key.sign(TEXT) == NOTE
    assert SignedNote.parse(NOTE.encode(), "n").signed_by([verifier], "n") == (verifier,)


def test_a_signature_is_what_openssl_takes(tmp_path: Path) -> None:
    key = SigningKey.make("example.com/log")
    note = SignedNote.parse(key.sign(TEXT).encode(), "n")
    for name, content in (
        ("key.der", DER + key.verifier.public),
        ("text", note.text.encode()),
        ("signature", note.signatures[0][2]),
    ):
        (tmp_path / name).write_bytes(content)
    command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in text -sigfile signature"
    found = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Signature Verified Successfully" in found.stdout, found.stderr


def test_a_note_is_nobodys_whose_key_is_not_trusted_and_refused_where_the_signature_is_forged() -> None:
    key, other = SigningKey.make("example.com/a"), SigningKey.make("example.com/b")
    note = SignedNote.parse(key.sign(TEXT).encode(), "n")
    assert note.signed_by([other.verifier], "n") == ()
    assert note.signed_by([other.verifier, key.verifier], "n") == (key.verifier,)
    forged = SignedNote(f"More. {note.text}", note.signatures)
    with pytest.raises(SealDamagedError, match="the signature is not by"):
        forged.signed_by([key.verifier], "n")
    # Of the same name, another key: one that was made later, whose signatures are no news.
    assert note.signed_by([SigningKey.make("example.com/a").verifier], "n") == ()


def test_a_checkpoint_reads_back_and_its_published_example_is_one() -> None:
    example = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo"
        "+zyWE+xeMcTOAYQ8=\n"
    )
    found = Checkpoint.parse(example.encode())
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20852163)
    assert example.startswith(found.text)
    extended = example.replace("\n\n", "\nan extension\n\n")
    assert Checkpoint.parse(extended.encode()).root == found.root


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n", "a\n1\n", NOTE, "a\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u2014 a AAAAAAA=\n"),
        "a\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u2014 a AAAAAAA=\n",
        f"a\n{10**40}\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u2014 a AAAAAAA=\n",
        "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n\n\u2014 a AAAAAAA=\n",
        "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u2014 a AAAAAAA=",
        "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n- a AAAAAAA=\n",
        "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n" + 101 * "\u2014 a AAAAAAA=\n",
        "a\r\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u2014 a AAAAAAA=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(
        SealDamagedError, match=r"^checkpoints/7 is not what was sealed: (it|a line below its text) is no"
    ):
        Checkpoint.parse(text.encode(), "checkpoints/7")


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_whatever_is_read_as_a_checkpoint_or_a_proof_is_one_or_a_typed_error(raw: bytes) -> None:
    for read in (Checkpoint.parse, lambda given: SealProof.parse(given.decode(errors="replace"), b"")):
        with pytest.raises(SealDamagedError):
            read(raw)


@given(st.integers(0, len(PUBLIC) - 1), st.characters(codec="utf-8"))
def test_a_key_with_another_character_is_another_key_or_none(place: int, character: str) -> None:
    changed = PUBLIC[:place] + character + PUBLIC[place + 1 :]
    try:
        assert VerifierKey.parse(changed) == VerifierKey.parse(PUBLIC)
        assert changed.strip() == PUBLIC
    except SealKeyError:
        assert changed != PUBLIC


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(0, 255))
def test_a_note_with_another_byte_is_not_signed(place: int, byte: int) -> None:
    raw = NOTE.encode()
    changed = raw[:place] + bytes([byte]) + raw[place + 1 :]
    try:
        signers = SignedNote.parse(changed, "n").signed_by([VerifierKey.parse(PUBLIC)], "n")
    except SealDamagedError:
        signers = ()
    assert bool(signers) == (changed == raw)


def test_a_proof_reads_back_and_proves_its_record_alone() -> None:
    key = SigningKey.make("example.com/log")
    left, right = sha256(b"\0one").digest(), sha256(b"\0two").digest()
    checkpoint = Checkpoint("example.com/log", 2, sha256(b"\1" + left + right).digest()).signed(key)
    proof = SealProof(b"two", 1, (left,), checkpoint.note)
    assert proof.to_text().startswith("c2sp.org/tlog-proof@v1\nindex 1\n")
    assert SealProof.parse(proof.to_text(), b"two") == proof
    assert SealProof.parse(proof.to_text(with_record=True)) == proof
    assert proof.verify([key.verifier]) == checkpoint
    for wrong in (SealProof(b"one", 1, (left,), checkpoint.note), SealProof(b"two", 0, (left,), checkpoint.note)):
        with pytest.raises(SealDamagedError, match="does not lead from the record to the root"):
            wrong.verify()
    with pytest.raises(SealDamagedError, match="signed by none of the keys"):
        proof.verify([SigningKey.make("example.com/log").verifier])


def test_a_key_file_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "seal.key"
    made = make_key_file(file, "example.com/agents")
    assert file.stat().st_mode & 0o777 == 0o600
    assert signing_key(file) == made
    assert verifier_keys([str(file)]) == verifier_keys([str(made.verifier)]) == (made.verifier,)
    before = file.read_bytes()
    with pytest.raises(SealKeyError, match="it is there already"):
        make_key_file(file, "example.com/agents")
    assert file.read_bytes() == before
    assert made.seed.hex() not in repr(made)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "x" * 201])
def test_a_name_that_no_key_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SealKeyError, match="no name for a key"):
        make_key_file(tmp_path / "k", name)
    assert not (tmp_path / "k").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"PRIVATE+KEY+",
        PRIVATE[:-4].encode(),
        PUBLIC.encode(),
        f"{PRIVATE}\n{PRIVATE}".encode(),
        b"\0",
    ],
)
def test_a_key_file_that_has_no_key_is_named_and_its_content_is_not_told(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "broken.key"
    file.write_bytes(content)
    with pytest.raises(SealKeyError, match=r"broken\.key: ") as caught:
        signing_key(file)
    assert "AYEKFALVFGyNhPJEMzD1QID" not in str(caught.value)


@given(st.binary(max_size=200))
def test_whatever_is_in_a_key_file_is_a_key_or_a_typed_error(content: bytes) -> None:
    with pytest.raises(SessionLogError):
        SigningKey.parse(content.decode(errors="replace"))
    with pytest.raises(SessionLogError):
        VerifierKey.parse(content.decode(errors="replace"))
