"""Messages as rows: JSON Lines and Parquet have the same, of flat columns."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.errors import MissingExtraError
from strands_session_log.exports import jsonl, parquet
from support.command_line import Run, message

PAGE = (Path(__file__).parents[2] / "docs" / "exports.md").read_text()


def quiet(done: int, total: int) -> None:
    """Nobody looks."""


def rows_of(log: SessionLog, session_id: str = "s-42") -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(jsonl.export(log, session_id, quiet)).splitlines()]


def test_each_message_is_a_row(talk: SessionLog) -> None:
    rows = rows_of(talk)
    assert [(row["message_index"], row["revision"], row["role"], row["text"]) for row in rows] == [
        (0, 3, "user", "What should I pack?"),
        (1, 4, "assistant", "Let me look."),
        (2, 5, "user", None),
        (3, 6, "assistant", "A light jacket."),
    ]
    assert json.loads(rows[1]["tool_calls"])[0]["name"] == "forecast"
    assert json.loads(rows[2]["tool_results"])[0]["status"] == "success"
    assert json.loads(rows[0]["content"]) == [{"text": "What should I pack?"}]
    assert {row["status"] for row in rows} == {"said"}


def test_columns_are_flat_always_the_same_and_stand_on_the_page(talk: SessionLog) -> None:
    rows = rows_of(talk)
    assert len({tuple(row) for row in rows}) == 1
    assert all(value is None or isinstance(value, (str, int)) for row in rows for value in row.values())
    assert [name for name in rows[0] if f"| `{name}` |" not in PAGE] == []


def test_what_was_changed_is_given_as_it_is_now(talk: SessionLog) -> None:
    changed = message(3, "assistant", "A warm jacket.").data
    redacted = {**message(0, "user", "x").data, "redact_message": {"role": "user", "content": [{"text": "[redacted]"}]}}
    talk.append("s-42", events.MessageUpdated(changed, "default"))
    talk.append("s-42", events.MessageRedacted({**redacted, "message": redacted["redact_message"]}, "default"))
    talk.erase("s-42", 4, "asked for")
    rows = rows_of(talk)
    assert [(row["text"], row["status"]) for row in rows] == [
        ("[redacted]", "redacted"),
        (None, "erased"),
        (None, rows[2]["status"]),
        ("A warm jacket.", "updated"),
    ]
    assert [row["role"] for row in rows] == ["user", "assistant", "user", "assistant"]


def test_parquet_has_the_same_rows_with_times_as_times(talk: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet

    monkeypatch.setattr(parquet, "_MOST_ROWS", 3)
    pieces = list(parquet.export(talk, "s-42", quiet))
    file = pyarrow.parquet.ParquetFile(io.BytesIO(b"".join(pieces)))
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [3, 1]
    found, rows = file.read().to_pylist(), rows_of(talk)
    times = [one.pop("time") for one in found]
    assert [f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z" for time in times] == [
        row.pop("time") for row in rows
    ]
    assert found == rows


def test_a_session_without_messages_is_a_table_without_rows(log: SessionLog) -> None:
    import pyarrow.parquet

    log.append("s", events.Custom("custom.note", {}))
    assert rows_of(log, "s") == []
    found = pyarrow.parquet.read_table(io.BytesIO(b"".join(parquet.export(log, "s", quiet))))
    assert found.num_rows == 0
    assert "message_index" in found.column_names


def test_messages_of_any_shape_are_rows(log: SessionLog) -> None:
    shapes: list[dict[str, Any]] = [{}, {"message": 5}, {"message": {"content": "text"}}, {"message": {"content": [1]}}]
    for number, data in enumerate(shapes):
        log.append("s", events.MessageAdded({**data, "message_id": number}, "a"))
    assert [row["text"] for row in rows_of(log, "s")] == [None] * 4


def test_where_there_is_no_session_nothing_is_written(run: Run, tmp_path: Path) -> None:
    for kind in ("jsonl", "parquet", "cloudevents", "markdown"):
        path = tmp_path / kind
        run("export", "nobody", "--to", kind, str(path), exit_code=3)
        assert not path.exists()


def test_parquet_says_which_extra_it_needs(talk: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"strands-session-log\[parquet\]"):
        next(iter(parquet.export(talk, "s-42", quiet)))


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "cloudevents", "markdown"])
def test_the_command_writes_a_file_or_standard_output(talk: SessionLog, run: Run, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"talk.{kind}"
    found = run("export", "s-42", "--to", kind, str(path), "--json")
    assert json.loads(found.stdout)["path"] == str(path)
    run("export", "s-42", "--to", kind, str(path), exit_code=1)
    run("export", "s-42", "--to", kind, str(path), "--force")
    assert path.stat().st_mode & 0o077 == 0
    assert run("export", "s-42", "--to", kind, "-").stdout_bytes
