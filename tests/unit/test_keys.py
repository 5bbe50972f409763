"""Where things are kept."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from valkey.crc import key_slot

from strands_session_log.errors import InvalidIdError
from strands_session_log.keys import DEFAULT_PARTITIONS, Keyspace, check_namespace, first_layouts, slot, tags

session_ids = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), min_size=1, max_size=40)


@given(session_ids)
def test_all_keys_of_a_session_and_its_partition_share_one_slot(session_id: str) -> None:
    keys = Keyspace("strands", DEFAULT_PARTITIONS).session(session_id)
    assert len({key_slot(key.encode()) for key in keys}) == 1


@given(session_ids, session_ids)
def test_two_sessions_never_share_a_key(one: str, other: str) -> None:
    keyspace = Keyspace("strands", 1)
    if one != other:
        assert not set(keyspace.session(one)[:6]) & set(keyspace.session(other)[:6])


@pytest.mark.parametrize("partitions", [1, 3, 16, 64, 1000])
def test_partitions_spread_evenly_over_the_slots(partitions: int) -> None:
    stretches = [slot(tag) * partitions // 16384 for tag in tags(partitions)]
    assert stretches == list(range(partitions))


def test_a_session_belongs_to_the_partition_of_its_checksum() -> None:
    assert Keyspace("strands", 16).partition("s-42") == zlib.crc32(b"s-42") % 16


def test_the_layout_is_the_documented_one() -> None:
    tag = tags(16)[zlib.crc32(b"s-42") % 16]
    assert Keyspace("strands", 16).session("s-42") == (
        f"strands:{{{tag}}}:session:s-42:events",
        f"strands:{{{tag}}}:session:s-42:head",
        f"strands:{{{tag}}}:session:s-42:snapshot",
        f"strands:{{{tag}}}:session:s-42:live",
        f"strands:{{{tag}}}:session:s-42:rewrite",
        f"strands:{{{tag}}}:session:s-42:ids",
        f"strands:{{{tag}}}:feed",
        f"strands:{{{tag}}}:sessions",
        f"strands:{{{tag}}}:feed:position",
        f"strands:{{{tag}}}:tombstones",
        f"strands:{{{tag}}}:error_texts",
        f"strands:{{{tag}}}:due",
        f"strands:{{{tag}}}:holds",
        f"strands:{{{tag}}}:subjects",
        f"strands:{{{tag}}}:session:s-42:run",
    )


def test_the_tags_never_change_because_keys_on_servers_carry_them() -> None:
    expected = "10 3 61 43 11 2 60 42 12 1 63 41 13 0 62 40"
    assert " ".join(tags(16)) == expected


@pytest.mark.parametrize("partitions", [1, 2, 5, 16, 100, 999, 1024])
def test_the_first_partition_is_found_whatever_their_number(partitions: int) -> None:
    found = first_layouts("strands")
    assert Keyspace("strands", partitions).layout(0) in found
    assert len(found) < 10


@pytest.mark.parametrize("namespace", ["", "a{b", "a}b", "a\n"])
def test_a_namespace_that_would_move_the_hash_tag_is_refused(namespace: str) -> None:
    with pytest.raises(InvalidIdError, match="namespace="):
        check_namespace(namespace)


def test_a_subscription_shares_the_slot_of_its_partition() -> None:
    keyspace = Keyspace("strands", 16)
    keys = keyspace.group(5, "audit")
    assert {key_slot(key.encode()) for key in keys} == {key_slot(keyspace.feed(5).encode())}
    assert keys.group.endswith("}:group:audit")
    assert keys.parked.endswith("}:parked:audit")
