"""Merkle trees as RFC 6962 has them (section 2.1): hashes, proofs, and how these are checked.

A tree grows at its right edge only. A complete subtree never changes once it is there, so all that is asked of a tree
are the hashes of complete subtrees: `node(level, index)` covers the leaves from `index << level` on, `1 << level` of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import TypeAlias

Nodes: TypeAlias = Callable[[int, int], bytes]
"""The hash of a complete subtree: its level, with leaves at 0, and its number at that level."""

HASH_BYTES = 32
EMPTY = sha256().digest()
"""The root of a tree without leaves."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees side by side."""
    return sha256(b"\1" + left + right).digest()


def subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The largest complete subtrees that together have these leaves, from left to right: level and number of each."""
    while start < end:
        level = (start & -start).bit_length() - 1 if start else end.bit_length()
        while start + (1 << level) > end:
            level -= 1
        yield level, start >> level
        start += 1 << level


def root(size: int, nodes: Nodes) -> bytes:
    """The root of a tree of so many leaves."""
    return _folded([nodes(*one) for one in subtrees(0, size)])


def _folded(hashes: Sequence[bytes]) -> bytes:
    """The root of subtrees that become smaller from left to right."""
    if not hashes:
        return EMPTY
    found = hashes[-1]
    for left in reversed(hashes[:-1]):
        found = node_hash(left, found)
    return found


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """What proves that a leaf is in a tree: the hash beside it, and so on up to the root (section 2.1.1)."""
    return [_range_hash(start, end, nodes) for start, end in reversed(_beside(index, 0, size))]


def _beside(index: int, start: int, end: int) -> list[tuple[int, int]]:
    """What lies beside a leaf on the way down from the root: first and last of each range."""
    found = []
    while end - start > 1:
        middle = start + _largest_power_below(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found


def _largest_power_below(number: int) -> int:
    return 1 << ((number - 1).bit_length() - 1)


def _range_hash(start: int, end: int, nodes: Nodes) -> bytes:
    return _folded([nodes(*one) for one in subtrees(start, end)])


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """What proves that a tree only had leaves added to it (section 2.1.2); nothing where that is seen at once."""
    if not 0 < old < new:
        return []
    ranges, start, end = [], 0, new
    while old < end:
        middle = start + _largest_power_below(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    # What is left is the last complete subtree of the old tree. Where that is all of it, its hash is known.
    if start:
        ranges.append((start, end))
    return [_range_hash(*one, nodes) for one in reversed(ranges)]


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> bool:
    """Whether a proof shows that a leaf, given by its hash, is in a tree (RFC 9162, section 2.1.3.2)."""
    sides = _sides(index, size - 1, len(proof)) if 0 <= index < size else None
    if sides is None:
        return False
    found = leaf
    for sibling, is_left in zip(proof, sides, strict=True):
        found = node_hash(sibling, found) if is_left else node_hash(found, sibling)
    return found == root_hash


def extends(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the new tree begins with all leaves of the old one (RFC 9162, section 2.1.4.2)."""
    if old == new or old == 0:
        return not proof and old_root == (new_root if old == new else EMPTY)
    # The root of a complete tree is one of the hashes of the new one.
    hashes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    sides = _sides(number, last, len(hashes) - 1) if hashes and 0 < old < new else None
    if sides is None:
        return False
    in_old = in_new = hashes[0]
    for sibling, is_left in zip(hashes[1:], sides, strict=True):
        in_old = node_hash(sibling, in_old) if is_left else in_old
        in_new = node_hash(sibling, in_new) if is_left else node_hash(in_new, sibling)
    return (in_old, in_new) == (old_root, new_root)


def _sides(number: int, last: int, count: int) -> list[bool] | None:
    """Of each hash of a proof, whether it stands on the left; None where a proof has not so many."""
    found = []
    for _ in range(count):
        if not last:
            return None
        found.append(bool(number & 1) or number == last)
        while found[-1] and not number & 1 and number:
            number, last = number >> 1, last >> 1
        number, last = number >> 1, last >> 1
    return found if last == 0 else None


class GrowingTree:
    """The right edge of a tree to which leaves are added: enough to know its root at any time.

    Attributes:
        size: How many leaves it has.
    """

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def add(self, hashed: bytes) -> None:
        """One more leaf, given by its hash."""
        number = self.size
        while number & 1:
            hashed, number = node_hash(self._edge.pop(), hashed), number >> 1
        self._edge.append(hashed)
        self.size += 1

    @property
    def root(self) -> bytes:
        """Its root."""
        return _folded(self._edge)
