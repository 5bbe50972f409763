"""The ZIP file of a bundle, read so that it has one meaning: nothing is hidden in it, or two things at once."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

MIB = 1024 * 1024
MOST_MEMBERS, MOST_DIRECTORY, MOST_SIZE = 400_000, 64 * MIB, 2**53 - 1
PIECE = 8 * 1024
"""So much is unpacked at once; it becomes a thousand times as long at most."""
FULL, SHORT = 0xFFFFFFFF, 0xFFFF
NO_ARCHIVE = "it is no ZIP file as a bundle is one, or not all of it"


class UnreadableBundleError(ValueError):
    """A file is no bundle, or damaged so that nothing can be said of its content.

    Attributes:
        code: What kind of trouble it is, for programs.
        problem: What it is, for people.
    """

    def __init__(self, code: str, problem: str) -> None:
        super().__init__(problem)
        self.code, self.problem = code, problem


def require(holds: bool, code: str = "archive", problem: str = NO_ARCHIVE) -> None:
    """Go on only if something holds."""
    if not holds:
        raise UnreadableBundleError(code, problem)


class PackedFile(NamedTuple):
    """A member: how it is packed, how long it is there and unpacked, and where its content begins and ends."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    begin: int
    end: int


class ArchiveReader:
    """A ZIP file of one member after another, with nothing before, between or behind them.

    Args:
        file: Opened for reading bytes; it can seek.

    Raises:
        UnreadableBundleError: When it is anything else.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.size = file, file.seek(0, 2)
        count, length, start = self._directory()
        self.members, place, at = list[PackedFile](), 0, start
        for _ in range(count):
            member, at = self._member(at, start + length, place)
            self.members.append(member)
            place = member.end
        require(place == start and at == start + length)

    def read(self, member: PackedFile) -> Iterator[bytes]:
        """What a member holds, unpacked, in pieces; damage is noticed at its end at the latest.

        Raises:
            UnreadableBundleError: When it is damaged.
        """
        damage = ("damaged", f"{member.name} is damaged: the file is not as it was written, or not all of it")
        unpacker, size, crc = zlib.decompressobj(-15), 0, 0
        for place in range(member.begin, member.begin + member.packed, PIECE):
            packed = self._bytes(place, min(PIECE, member.begin + member.packed - place))
            try:
                piece = unpacker.decompress(packed) if member.method else packed
            except zlib.error:
                raise UnreadableBundleError(*damage) from None
            size, crc = size + len(piece), zlib.crc32(piece, crc)
            require(size <= member.size and not unpacker.unused_data, *damage)
            yield piece
        is_whole = unpacker.eof or not member.method
        require(is_whole and (size, crc) == (member.size, member.crc), *damage)

    def _directory(self) -> tuple[int, int, int]:
        """How many members there are, how long the list of them is, and where it begins."""
        end = self.size - 22
        sign, *disks, count, length, start, comment = self._unpack("<4s4H2LH", end)
        require(sign == b"PK\5\6" and disks == [0, 0, count] and not comment)
        if end >= 76 and self._bytes(end - 20, 4) == b"PK\6\7":
            short, end = (count, length, start), end - 76
            require(self._unpack("<4sLQL", end + 56) == (b"PK\6\7", 0, end, 1))
            sign, rest, _, _, *disks, count, length, start = self._unpack("<4sQ2H2L4Q", end)
            require(sign == b"PK\6\6" and rest == 44 and disks == [0, 0, count])
            require(short == (min(count, SHORT), min(length, FULL), min(start, FULL)))
        require(start + length == end and count <= MOST_MEMBERS and length <= MOST_DIRECTORY)
        return count, length, start

    def _member(self, at: int, end: int, place: int) -> tuple[PackedFile, int]:
        """What stands somewhere in the list of members, and where the next one does.

        Args:
            at: Where it stands.
            end: Where the list ends.
            place: Where the member must begin.
        """
        found = self._unpack("<4s6H3L5H2L", at)
        sign, _, _, flags, method, _, _, crc, packed, size, named, more, comment, disk, _, mode, offset = found
        require(sign == b"PK\1\2" and not flags & ~0x808 and method in (0, 8) and not comment and not disk)
        is_file = mode >> 28 in (0, 8) and not mode & 0x10
        require(is_file and at + 46 + named + more <= end)
        raw = self._bytes(at + 46, named + more)
        wide = sizes_in(raw[named:])
        size, packed, offset = (wide.pop(0) if one == FULL and wide else one for one in (size, packed, offset))
        require(not wide and offset == place and size <= MOST_SIZE)
        begin = self._begin(place, raw[:named], [flags, method], (crc, packed, size))
        behind = self._length_behind(begin + packed, (crc, packed, size)) if flags & 8 else 0
        name = raw[:named].decode("ascii", "replace")
        return PackedFile(name, method, crc, packed, size, begin, begin + packed + behind), at + 46 + named + more

    def _begin(self, place: int, name: bytes, kind: list[int], told: tuple[int, int, int]) -> int:
        """Where the content of a member begins, if what stands before it says what the list says."""
        sign, _, flags, method, _, _, crc, packed, size, named, more = self._unpack("<4s5H3L2H", place)
        raw = self._bytes(place + 30, named + more)
        require(sign == b"PK\3\4" and [flags, method] == kind and raw[:named] == name)
        wide, may_be_open = sizes_in(raw[named:]), bool(flags & 8)
        require(len(wide) in (0, 2) and (crc == told[0] or (may_be_open and not crc)))
        told_there = ((packed, told[1]), (size, told[2]), *zip(wide, (told[2], told[1])))  # noqa: B905 - Python 3.9
        for one, known in told_there:
            require(one == known or (may_be_open and not one) or (bool(wide) and one == FULL))
        return place + 30 + len(raw)

    def _length_behind(self, place: int, told: tuple[int, int, int]) -> int:
        """How long that is which tells behind a member how long it was, where nobody knew before."""
        for form, length in (("<4sLQQ", 24), ("<4sLLL", 16)):
            if place + length <= self.size and self._unpack(form, place) == (b"PK\7\x08", *told):
                return length
        raise UnreadableBundleError("archive", NO_ARCHIVE)

    def _unpack(self, form: str, place: int) -> tuple[Any, ...]:
        return struct.unpack(form, self._bytes(place, struct.calcsize(form)))

    def _bytes(self, place: int, length: int) -> bytes:
        require(0 <= place <= self.size - length)
        self._file.seek(place)
        found = self._file.read(length)
        require(len(found) == length)
        return found


def sizes_in(extra: bytes) -> list[int]:
    """What stands beside a header that has no room for its sizes; nothing else may."""
    is_that = len(extra) in (12, 20, 28) and struct.unpack("<HH", extra[:4]) == (1, len(extra) - 4)
    require(is_that or not extra)
    return list(struct.unpack(f"<{len(extra) // 8}Q", extra[4:]))
