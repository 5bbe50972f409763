"""Every decision says its status and its date, and the index says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ADR = Path(__file__).parents[2] / "docs" / "adr"
PAGES = sorted(ADR.glob("[0-9]*.md"))
CHANGED = r"; (amended|superseded|superseded in part) by \[(\d{4})\]\((.+?)\)(?:: .+)?"
STATUS = re.compile(rf"\*Accepted (\d{{4}}-\d\d-\d\d)(?:{CHANGED})?\.\*")


def status_of(page: Path) -> re.Match[str]:
    paragraph = page.read_text().split("\n\n")[1].replace("\n", " ")
    found = STATUS.fullmatch(paragraph)
    assert found, f"say under the title: *Accepted YYYY-MM-DD.*, or what {STATUS.pattern} allows"
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name[:4])
def test_a_decision_has_a_title_a_status_and_a_date(page: Path) -> None:
    assert re.fullmatch(rf"# {page.name[:4]} \S.*", page.read_text().partition("\n")[0])
    date, _, later, name = status_of(page).groups()
    assert later is None or (name.startswith(later) and (ADR / name).is_file())
    assert later is None or (later > page.name[:4] and date <= status_of(ADR / name)[1])


def test_numbers_are_given_once_and_none_is_left_out() -> None:
    assert [int(page.name[:4]) for page in PAGES] == list(range(1, len(PAGES) + 1))


def test_the_index_has_them_all_as_they_are() -> None:
    rows = [line for line in (ADR / "README.md").read_text().splitlines() if line.startswith("| [")]
    expected = []
    for page in PAGES:
        date, how, later, _ = status_of(page).groups()
        title = page.read_text().partition("\n")[0][7:]
        status = f"{how} by {later}" if later else "accepted"
        expected.append(f"| [{page.name[:4]}]({page.name}) {title} | {status} | {date} |")
    assert rows == expected
