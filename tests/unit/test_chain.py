"""The hash chain, against values computed by hand from its definition."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import chain

HEADER = (b"message.added", b"default", b"0190", b"2026-01-01T00:00:00+00:00", b"1", b"", b"{}")


def test_a_link_is_the_hash_of_its_length_prefixed_parts() -> None:
    commitment = hashlib.sha256(b"salt" + b"{}").digest()
    parts = (b"\x01" * 32, b"17-6", b"7", *HEADER, commitment)
    expected = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
    assert chain.link(b"\x01" * 32, b"17-6", 7, HEADER, chain.commitment(b"salt", b"{}")) == expected


def test_the_first_link_follows_the_hash_of_the_session_id() -> None:
    assert chain.genesis("s-42") == hashlib.sha256(b"s-42").digest()


def test_moving_a_byte_between_neighbouring_fields_changes_the_link() -> None:
    one = chain.link(b"", b"", 1, (b"ab", b"c"), b"")
    other = chain.link(b"", b"", 1, (b"a", b"bc"), b"")
    assert one != other


def test_the_link_does_not_depend_on_the_body_once_its_commitment_is_kept() -> None:
    commitment = chain.commitment(b"salt", b"secret")
    assert chain.link(b"", b"", 1, HEADER, commitment) == chain.link(
        b"", b"", 1, HEADER, chain.from_text(chain.to_text(commitment))
    )


def test_equal_bodies_have_different_commitments_under_different_salts() -> None:
    assert chain.commitment(chain.new_salt(), b"yes") != chain.commitment(chain.new_salt(), b"yes")


@given(st.binary(max_size=64))
def test_bytes_read_back_from_base64url(raw: bytes) -> None:
    text = chain.to_text(raw)
    assert chain.from_text(text) == chain.from_text(text.decode()) == raw
    assert not set(text) & set(b"+/=")


@given(st.binary(min_size=32, max_size=32))
def test_of_all_spellings_of_the_same_bytes_only_one_counts(raw: bytes) -> None:
    text = chain.to_text(raw)
    assert chain.exactly(text, 32) == raw
    # The last character of 43 says four bits, and has room for six.
    others = [text[:-1] + bytes([last]) for last in b"ABCD" if text[-1:] != bytes([last])]
    for other in (*others, text + b"=", text.replace(b"-", b"+") + b" ", b"\n" + text, text[:-1], b""):
        assert chain.exactly(other, 32) == b"" or chain.from_text(other) != raw
    assert chain.exactly(text, 16) == b""
