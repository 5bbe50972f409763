"""How a log of seals is laid out, as C2SP's tlog-tiles has it (https://c2sp.org/tlog-tiles).

`tile/entries/<N>` has up to 256 records, `tile/<L>/<N>` up to 256 hashes of the Merkle tree; what is not full yet ends
with `.p/<width>`. Nothing that stands under one of these names ever changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import TypeAlias

from ..errors import SealDamagedError
from . import merkle

WIDTH = 256
_HEIGHT = 8
_KEPT = 256
"""How many tiles are kept in memory: 2 MB."""

Read: TypeAlias = Callable[[str], "bytes | None"]
"""The content of a file, None where there is none."""


def numbered(number: int) -> str:
    """A number as part of a path: `x001/x234/067`."""
    found = f"{number % 1000:03}"
    while number >= 1000:
        number //= 1000
        found = f"x{number % 1000:03}/{found}"
    return found


def tile_name(level: int | str, number: int, width: int) -> str:
    """Where a tile is, or with `entries` for a level, a bundle of records."""
    return f"tile/{level}/{numbered(number)}" + (f".p/{width}" if width < WIDTH else "")


def packed(leaves: Sequence[bytes]) -> bytes:
    """A bundle of records: each behind its length in two bytes."""
    return b"".join([len(leaf).to_bytes(2, "big") + leaf for leaf in leaves])


def unpacked(bundle: bytes, name: str) -> list[bytes]:
    """The records of a bundle.

    Raises:
        SealDamagedError: When it is none.
    """
    found, at = [], 0
    while at < len(bundle):
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        if start > len(bundle) or at > len(bundle):
            raise SealDamagedError(name, "it ends in the middle of a record")
        found.append(bundle[start:at])
    return found


class Tiles:
    """The tiles of a tree of some size.

    Args:
        read: Reads a file.
        size: How many leaves the tree has.
    """

    def __init__(self, read: Read, size: int) -> None:
        self._read, self.size = read, size
        self._tiles = OrderedDict[tuple[int, int], list[bytes]]()
        self._bundle: tuple[int, list[bytes]] = (-1, [])

    def node(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree, see `merkle`.

        Raises:
            SealDamagedError: When its tile is not there, or none.
        """
        tile_level, above = divmod(level, _HEIGHT)
        start = index << above
        hashes = self.tile(tile_level, start // WIDTH)
        first = start % WIDTH
        return _root_of(hashes[first : first + (1 << above)])

    def tile(self, level: int, number: int) -> list[bytes]:
        """The hashes of a tile; of a full one held against the tile above it, and so on, up to one that is not full.

        Those that are not full are covered by the root: compare that first.
        """
        key = level, number
        if key not in self._tiles:
            width = min(WIDTH, (self.size >> (_HEIGHT * level)) - number * WIDTH)
            name, raw = _found(self._read, level, number, width)
            if len(raw) % merkle.HASH_BYTES or len(raw) < width * merkle.HASH_BYTES:
                raise SealDamagedError(name, f"it has not {width} hashes")
            steps = range(0, width * merkle.HASH_BYTES, merkle.HASH_BYTES)
            hashes = [raw[at : at + merkle.HASH_BYTES] for at in steps]
            if width == WIDTH and _root_of(hashes) != self.tile(level + 1, number // WIDTH)[number % WIDTH]:
                raise SealDamagedError(name, "the tile above it has another hash")
            self._tiles[key] = hashes
            if len(self._tiles) > _KEPT:
                self._tiles.popitem(last=False)
            return hashes
        return self._tiles[key]

    def bundle(self, number: int) -> list[bytes]:
        """The records of a bundle, each held against the hash that its tile has.

        Raises:
            SealDamagedError: When it is not there, or another than was sealed.
        """
        if self._bundle[0] == number:
            return self._bundle[1]
        width = min(WIDTH, self.size - number * WIDTH)
        name, raw = _found(self._read, "entries", number, width)
        leaves, hashes = unpacked(raw, name)[:width], self.tile(0, number)
        if len(leaves) < width:
            raise SealDamagedError(name, f"it has not {width} records")
        for place, (leaf, expected) in enumerate(zip(leaves, hashes, strict=True)):
            if merkle.leaf_hash(leaf) != expected:
                raise SealDamagedError(name, f"record {number * WIDTH + place} is another than was sealed")
        self._bundle = number, leaves
        return leaves

    @property
    def bundles(self) -> int:
        """How many bundles there are."""
        return -(-self.size // WIDTH)

    def root(self) -> bytes:
        """The root of the tree."""
        return merkle.root(self.size, self.node)


def _found(read: Read, level: int | str, number: int, width: int) -> tuple[str, bytes]:
    """A tile or bundle: of this width, or full since."""
    for name in dict.fromkeys((tile_name(level, number, width), tile_name(level, number, WIDTH))):
        raw = read(name)
        if raw is not None:
            return name, raw
    raise SealDamagedError(tile_name(level, number, width), "it is not there")


def grown(before: Tiles, leaves: Sequence[bytes]) -> dict[str, bytes]:
    """The files that a tree needs beside those it has when leaves are added, bundles of records first.

    Args:
        before: The tree as it is.
        leaves: What is to be added.
    """
    partial = before.size % WIDTH
    known = before.bundle(before.size // WIDTH) if partial else []
    files = {name: packed(row) for name, row in _rows("entries", before.size - partial, [*known, *leaves])}
    added, old = [merkle.leaf_hash(leaf) for leaf in leaves], before.size
    for level in count():
        if not added:
            break
        number, partial = divmod(old, WIDTH)
        hashes = [*(before.tile(level, number) if partial else ()), *added]
        files |= {name: b"".join(row) for name, row in _rows(level, old - partial, hashes)}
        full = range(0, len(hashes) - WIDTH + 1, WIDTH)
        added = [_root_of(hashes[start : start + WIDTH]) for start in full]
        old >>= _HEIGHT
    return files


def _rows(level: int | str, start: int, items: Sequence[bytes]) -> Iterator[tuple[str, Sequence[bytes]]]:
    """The tiles that these fill, from a full one on."""
    for at in range(0, len(items), WIDTH):
        row = items[at : at + WIDTH]
        yield tile_name(level, (start + at) // WIDTH, len(row)), row


def _root_of(row: Sequence[bytes]) -> bytes:
    while len(row) > 1:
        row = [merkle.node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def outgrown(before: int, after: int) -> list[str]:
    """Where tiles stand that were not full, and need not be kept now that there are full ones.

    Args:
        before: How many leaves there were.
        after: How many there are.
    """
    found = list[str]()
    for level in count():
        old, new = before >> (_HEIGHT * level), after >> (_HEIGHT * level)
        if not old:
            return found
        number, width = divmod(old, WIDTH)
        if width and new >= (number + 1) * WIDTH:
            names = (level, "entries") if level == 0 else (level,)
            found += [f"{tile_name(name, number, WIDTH)}.p" for name in names]
    return found


def overlaid(read: Read, files: Mapping[str, bytes]) -> Read:
    """Reads what is to be written as if it were there."""
    return lambda name: files[name] if name in files else read(name)
