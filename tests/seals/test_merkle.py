"""Merkle trees are those of RFC 6962: held against published roots, and against its definitions as they stand there."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strands_session_log.errors import SealDamagedError
from strands_session_log.seals import merkle
from strands_session_log.seals.tiles import Read, Tiles, grown, numbered, overlaid, packed, tile_name, unpacked

# The leaves and roots that implementations of Certificate Transparency are tested with.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def split(size: int) -> int:
    """The largest power of two that is smaller."""
    found = 1
    while found * 2 < size:
        found *= 2
    return found


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH of section 2.1, as it stands there."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    middle = split(len(leaves))
    return sha256(b"\x01" + tree_hash(leaves[:middle]) + tree_hash(leaves[middle:])).digest()


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.1."""
    if len(leaves) == 1:
        return []
    middle = split(len(leaves))
    if index < middle:
        return [*path(index, leaves[:middle]), tree_hash(leaves[middle:])]
    return [*path(index - middle, leaves[middle:]), tree_hash(leaves[:middle])]


def subproof(old: int, leaves: list[bytes], is_known: bool = True) -> list[bytes]:
    """SUBPROOF of section 2.1.2."""
    if old == len(leaves):
        return [] if is_known else [tree_hash(leaves)]
    middle = split(len(leaves))
    if old <= middle:
        return [*subproof(old, leaves[:middle], is_known), tree_hash(leaves[middle:])]
    return [*subproof(old - middle, leaves[middle:], False), tree_hash(leaves[:middle])]


def some(count: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(count)]


def reading(files: dict[str, bytes]) -> Read:
    return lambda name: files.get(name)


NOTHING = reading({})


def nodes_of(leaves: list[bytes]) -> merkle.Nodes:
    return lambda level, index: tree_hash(leaves[index << level : (index + 1) << level])


def test_the_roots_are_those_that_were_published() -> None:
    for size, expected in enumerate(ROOTS):
        assert merkle.root(size, nodes_of(LEAVES)).hex() == expected
        tree = merkle.GrowingTree()
        for leaf in LEAVES[:size]:
            tree.add(merkle.leaf_hash(leaf))
        assert (tree.size, tree.root.hex()) == (size, expected)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 16, 33])
def test_proofs_are_those_that_the_rfc_defines_and_are_accepted(size: int) -> None:
    leaves, nodes = some(size), nodes_of(some(size))
    root = tree_hash(leaves)
    for index, leaf in enumerate(leaves):
        proof = merkle.inclusion_proof(index, size, nodes)
        assert proof == path(index, leaves)
        assert merkle.includes(merkle.leaf_hash(leaf), index, size, proof, root)
    for old in range(1, size + 1):
        proof = merkle.consistency_proof(old, size, nodes)
        assert proof == subproof(old, leaves)
        assert merkle.extends(old, tree_hash(leaves[:old]), size, root, proof)


@given(st.data())
def test_a_proof_of_anything_else_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 40))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    leaves, nodes = some(size), nodes_of(some(size))
    root, hashed = tree_hash(leaves), merkle.leaf_hash(leaves[index])
    proof, steps = merkle.inclusion_proof(index, size, nodes), merkle.consistency_proof(old, size, nodes)
    other = data.draw(st.integers(-2, size + 2).filter(lambda number: number != index))
    assert not merkle.includes(hashed, other, size, proof, root)
    assert not merkle.includes(merkle.leaf_hash(b"other"), index, size, proof, root)
    assert not merkle.includes(hashed, index, size, [*proof, root], root)
    assert not merkle.includes(hashed, index, size, proof, merkle.leaf_hash(b"other"))
    for place in range(len(proof)):
        assert not merkle.includes(hashed, index, size, [*proof[:place], *proof[place + 1 :]], root)
        changed = [*proof[:place], bytes(32), *proof[place + 1 :]]
        assert not merkle.includes(hashed, index, size, changed, root)
    before = tree_hash(leaves[:old])
    assert not merkle.extends(old, merkle.leaf_hash(b"other"), size, root, steps)
    assert not merkle.extends(old, before, size, merkle.leaf_hash(b"other"), steps)
    assert not merkle.extends(old, before, size, root, [*steps, root])
    for place in range(len(steps)):
        assert not merkle.extends(old, before, size, root, [*steps[:place], *steps[place + 1 :]])
        assert not merkle.extends(old, before, size, root, [*steps[:place], bytes(32), *steps[place + 1 :]])


def test_a_tree_that_became_smaller_is_never_an_extension() -> None:
    for old in range(1, 9):
        for new in range(old):
            assert not merkle.extends(old, tree_hash(some(old)), new, tree_hash(some(new)), [])


@settings(max_examples=30)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=4))
def test_a_tree_that_grew_in_steps_has_the_tiles_of_one_that_grew_at_once(steps: list[int]) -> None:
    files = dict[str, bytes]()
    leaves, size = some(sum(steps)), 0
    for step in steps:
        new = grown(Tiles(reading(files), size), leaves[size : size + step])
        assert not new.keys() & files.keys(), "nothing that stands there is written again"
        files |= new
        size += step
    at_once = grown(Tiles(NOTHING, 0), leaves)
    assert {name: files[name] for name in at_once} == at_once
    tiles = Tiles(reading(files), size)
    assert tiles.root() == tree_hash(leaves)
    assert [leaf for number in range(tiles.bundles) for leaf in tiles.bundle(number)] == leaves


def test_a_tree_has_the_tiles_that_the_specification_counts() -> None:
    """Its example: 70,000 leaves."""
    files = grown(Tiles(NOTHING, 0), [b""] * 70_000)
    of_level = {level: [name for name in files if name.startswith(f"tile/{level}/")] for level in range(4)}
    assert [len(of_level[level]) for level in range(4)] == [274, 2, 1, 0]
    assert {"tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"} <= files.keys()
    assert Tiles(reading(files), 70_000).root() == merkle.root(70_000, Tiles(reading(files), 70_000).node)
    assert Tiles(overlaid(NOTHING, files), 256).node(8, 0) == tree_hash([b""] * 256)


def test_numbers_stand_in_paths_as_the_specification_writes_them() -> None:
    assert [numbered(number) for number in (0, 999, 1000, 1234067)] == ["000", "999", "x001/000", "x001/x234/067"]
    assert tile_name("entries", 1234067, 12) == "tile/entries/x001/x234/067.p/12"


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(0, 5000))
def test_a_bundle_reads_back_or_says_that_it_is_cut_off(leaves: list[bytes], cut: int) -> None:
    bundle = packed(leaves)
    assert unpacked(bundle, "b") == leaves
    ends = {len(packed(leaves[:count])): count for count in range(len(leaves) + 1)}
    if cut in ends or cut > len(bundle):
        assert unpacked(bundle[:cut], "b") == leaves[: ends.get(cut)]
    else:
        with pytest.raises(SealDamagedError, match="in the middle of a record"):
            unpacked(bundle[:cut], "b")


def test_a_tile_that_was_changed_is_found_by_the_one_above_it() -> None:
    files = grown(Tiles(NOTHING, 0), some(600))
    forged = {**files, "tile/0/000": bytes(32) + files["tile/0/000"][32:]}
    with pytest.raises(SealDamagedError, match="tile above it has another hash"):
        Tiles(reading(forged), 600).bundle(0)
