"""The parts of `make bench` that decide what its table says; nothing is timed here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import text
from bench.costs import costs
from bench.document import document
from bench.measuring import Prepared, Run, seconds_of
from bench.processes import Apart, ProcessEnded
from bench.report import cells, markdown
from bench.rows import Cost, Pair, Row


def test_a_message_says_a_kilobyte() -> None:
    message: Any = text.message(7)
    assert message["role"] == "assistant"
    assert len(message["content"][0]["text"].encode()) == text.BYTES


def test_the_text_is_the_same_in_every_process() -> None:
    ask = f"import sys; sys.path[:0] = {sys.path}; from bench.text import generated; print(generated(5000), end='')"
    answer = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert answer.stdout == text.generated(5000)
    assert text.generated().startswith(answer.stdout)


def test_no_message_is_said_twice() -> None:
    assert len({text.said(index) for index in range(0, 100_000, 7)}) == len(range(0, 100_000, 7))


def test_the_text_compresses_as_the_prose_it_is_made_of_does() -> None:
    generated = text.generated()[: len(text.source())]
    assert text.compressed(generated) == pytest.approx(text.compressed(text.source()), rel=0.1)


def test_the_ratio_is_that_of_the_medians() -> None:
    row = Row("", ours=[3.0, 2.0, 100.0], peer=[1.0, 2.0, 1.0], target=3)
    assert row.ratio == 3
    assert row.verdict == "met"


def test_where_more_is_better_the_ratio_is_the_other_way_round() -> None:
    row = Row("", ours=[1.0], peer=[50.0], target=100, better="more")
    assert row.ratio == 50
    assert row.verdict == "missed"
    assert row.allowance == 2


def test_the_spread_is_where_half_of_the_rounds_are() -> None:
    row = Row("", ours=[1.0, 2.0, 3.0, 4.0, 5.0], peer=[1.0] * 5)
    assert row.spread == (2, 4)
    assert Row("", ours=[1.0], peer=[1.0]).spread is None


def test_what_noise_made_less_than_nothing_of_is_no_ratio() -> None:
    row = Row("", ours=[1.0, 1.0, 1.0], peer=[-1.0, -1.0, 2.0], target=1)
    assert row.ratio is None
    assert row.verdict == "not measured"
    assert Row("", ours=[-1.0], peer=[2.0], target=1).verdict == "met"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Row("a", [0.0014], [0.001], 1.4), ["a", "1.4 ms", "1 ms", "1.40", "≤ 1.4", "met", "", "1"]),
        (Row("a", [0.0015], [0.001], 1.4), ["a", "1.5 ms", "1 ms", "1.50", "≤ 1.4", "missed", "", "1"]),
        (Row("a", [2.0], [412.0], 100, "more"), ["a", "2 s", "412 s", "206", "≥ 100", "met", "", "1"]),
        (Row("a", [1500.0], [1024.0], None, unit="bytes"), ["a", "1,500 B", "1,024 B", "1.46", "", "", "", ""]),
        (Row("a", [], [], 0.6), ["a", "", "", "", "≤ 0.6", "not measured", "", ""]),
    ],
)
def test_a_row_says_whether_its_target_is_met(row: Row, said: list[str]) -> None:
    assert cells(row) == said


def test_the_document_has_a_table_for_every_group() -> None:
    missed = Row("a ÷ b", [2.0, 2.0], [1.0, 1.0], 1.5, note="Because.")
    page = document({"appending": [missed], "resuming": [Row("c ÷ d", [1.0], [1.0])]}, [("Python", "3.10")])
    assert "## Appending" in page
    assert "| a ÷ b | 2 s | 1 s | 2.00 | ≤ 1.5 | **missed** | 2.00 to 2.00 | 2 |" in page
    assert "a ÷ b: Because." in page
    assert "| c ÷ d |" in page
    assert "- Python: 3.10" in page


def test_what_it_costs_is_a_line_for_each_thing_users_do() -> None:
    rows = [
        Row("a", [0.003], [0.002], cost=Cost("a turn", "the old manager")),
        Row("b", [0.003], [0.004], cost=Cost("a turn", "files")),
        Row("c", [5.0], [1.0]),
        Row("d", [2.0], [1.0], cost=Cost("an event", "a bare loop", each=1000)),
        Row("not measured", [], [], cost=Cost("a turn", "nobody")),
    ]
    assert costs(rows)[2:] == [
        "| a turn | 3 ms | **the old manager 2 ms**, files 4 ms |",
        "| an event | 2 ms | **a bare loop 1 ms** |",
    ]


def test_the_document_begins_with_what_it_costs_and_what_is_missed() -> None:
    cost = Cost("a turn", "files")
    page = document({"turns": [Row("a ÷ b", [2.0], [1.0], 1.5, cost=cost), Row("c", [1.0], [1.0], 1)]}, [])
    assert page.index("| a turn | 2 s |") < page.index("1 of 2 targets are met.") < page.index("## Turns")
    assert "\n- missed: a ÷ b\n" in page


def test_what_is_prepared_is_not_timed() -> None:
    done: list[str] = []
    taken = seconds_of(Prepared(lambda: done.append("before"), lambda: done.append("work")))
    assert done == ["before", "work"]
    assert taken < 60


SERVING = """
import sys
sys.path[:0] = {path}
from bench.processes import serve
def fail(): raise ValueError("no")
serve({{"given": lambda: 7.5, "taken": lambda: print("noise"), "fails": fail}})
"""


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Apart]:
    (tmp_path / "serving.py").write_text(SERVING.format(path=sys.path))
    with Apart(sys.executable, "serving", environment={**os.environ, "PYTHONPATH": str(tmp_path)}) as process:
        yield process


def test_a_process_apart_says_what_it_has_and_how_long_it_took(apart: Apart) -> None:
    assert apart.names == ["given", "taken", "fails"]
    assert seconds_of(apart.work("given")) == 7.5
    assert 0 <= seconds_of(apart.work("taken")) < 60


def test_what_fails_in_a_process_apart_is_told(apart: Apart) -> None:
    with pytest.raises(ProcessEnded, match="ValueError: no"):
        apart.seconds("fails")
    assert apart.seconds("given") == 7.5


def test_a_process_that_does_not_begin_is_told() -> None:
    with pytest.raises(ProcessEnded, match="No module named no_such_module"):
        Apart(sys.executable, "no_such_module")


def test_every_row_of_the_table_has_every_column() -> None:
    lines = markdown([Row("a", [], []), Row("b", [1.0, 2.0], [1.0, 2.0], 1)])
    assert len({line.count("|") for line in lines}) == 1


def test_pairs_take_turns_and_what_they_share_is_measured_once() -> None:
    called: list[str] = []
    ours, one, other = (lambda name=name: called.append(name) for name in "abc")
    first, second = Run(quick=True).measure([Pair("", ours, one), Pair("", ours, other)], 100, "")
    assert called[3:] == list("abcabc")
    assert first.ours is second.ours
    assert len(first.ours) == len(second.peer) == 2
