"""`session-log export --to parquet`: the messages of a session as a table in Parquet, one group of rows in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from ..event_log import Progress
from ..session_log import SessionLog
from .messages import MessageRow, message_rows

if TYPE_CHECKING:
    import pyarrow

_MOST_ROWS, _MOST_CHARACTERS = 10_000, 32 * 1024 * 1024
"""What a group of rows has at most; a message that is longer is a group by itself."""
_NUMBERS = {"message_index": "int64", "revision": "int64", "media": "int32"}


def export(log: SessionLog, session_id: str, progress: Progress) -> Iterator[bytes]:
    """The messages of a session as a Parquet file, piece by piece.

    Args:
        log: Where the session is.
        session_id: The session.
        progress: Told how far it has come.

    Raises:
        MissingExtraError: When pyarrow is not installed.
        SessionNotFoundError: When there is no such session.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ModuleNotFoundError as error:
        raise MissingExtraError("parquet", "export --to parquet") from error
    written, schema = _Pieces(), _schema()
    with ParquetWriter(pyarrow.PythonFile(written, mode="w"), schema, compression="zstd") as writer:
        for group in _groups(message_rows(log, session_id, progress)):
            columns = [list(column) for column in zip(*group, strict=True)]
            writer.write_table(pyarrow.table(columns, schema=schema))
            yield from written.take()
    yield from written.take()


def _schema() -> pyarrow.Schema:
    import pyarrow

    kinds = {name: getattr(pyarrow, kind)() for name, kind in _NUMBERS.items()}
    kinds["ms"] = pyarrow.timestamp("ms", tz="UTC")
    names = [("time" if name == "ms" else name, kinds.get(name, pyarrow.string())) for name in MessageRow._fields]
    return pyarrow.schema(names)


def _groups(rows: Iterator[MessageRow]) -> Iterator[list[MessageRow]]:
    group, size = list[MessageRow](), 0
    for row in rows:
        group.append(row)
        size += sum(len(value) for value in row if isinstance(value, str))
        if len(group) >= _MOST_ROWS or size >= _MOST_CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group


class _Pieces:
    """A file that keeps what is written to it until somebody takes it."""

    closed = False

    def __init__(self) -> None:
        self._pieces = list[bytes]()

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """There is nothing that has it otherwise."""

    def close(self) -> None:
        """What was written stays until it is taken."""

    def take(self) -> Iterator[bytes]:
        """What was written since."""
        pieces, self._pieces = self._pieces, []
        yield from pieces
