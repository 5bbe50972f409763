"""Policies in one file: what they say, and what is said of mistakes in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import RetentionPolicies, RetentionPolicy, SessionLog, errors, events
from support.aging import age, sessions
from support.erasing import fill

GOOD = """
[[policy]]
name = "litigation"
labels = { case = "*" }
keep = "forever"

[[policy]]
name = "tests"
labels = { env = "test" }
older_than = "7d"
keep_last = 1

[[policy]]
name = "everything else"
older_than = "1y"
"""


def test_a_session_falls_under_the_first_policy_that_fits(log: SessionLog, tmp_path: Path) -> None:
    file = tmp_path / "policies.toml"
    file.write_text(GOOD)
    kinds: dict[str, dict[str, str]] = {
        "case": {"case": "4711", "env": "test"},
        "test-new": {"env": "test"},
        "test-old": {"env": "test"},
        "plain": {"team": "a"},
    }
    for days, (name, labels) in enumerate(kinds.items()):
        log.append(name, events.SessionAnnotated(labels))
        age(log, name, timedelta(days=100 + days))
    fill(log, 1, "ancient")
    age(log, "ancient", timedelta(days=400))
    fill(log, 1, "own")
    log.retention.set_ttl("own", "10y")
    age(log, "own", timedelta(days=400))
    assert log.retention.apply(file, dry_run=True).due == 2
    report = log.retention.apply(file, by="cron")
    assert (report.looked_at, report.deleted) == (6, 2)
    assert sessions(log) == {"case", "test-new", "plain", "own"}
    assert {one.session_id: one.reason for one in log.tombstones()} == {
        "test-old": "policy 'tests': no event for 7d, not among the last 1",
        "ancient": "policy 'everything else': no event for 365d",
    }


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    file = tmp_path / "policies.json"
    file.write_text('{"policy": [{"name": "tests", "labels": {"env": "test"}, "older_than": "7d", "keep_last": 1}]}')
    assert RetentionPolicies.read(file).policies == (RetentionPolicy("tests", {"env": "test"}, timedelta(days=7), 1),)
    assert RetentionPolicies.read(file).policies[0] == RetentionPolicies.parse(GOOD).policies[1]


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "reason"),
    [
        ('older_than = "7d"', 'older_than = "7 days"', 10, "policy[2].older_than", "no duration: give 90d"),
        ('older_than = "7d"', "older_than = 7", 10, "policy[2].older_than", "no duration"),
        ('older_than = "7d"', 'older = "7d"', 10, "policy[2].older", "did you mean older_than?"),
        ("keep_last = 1", 'keep_last = "1"', 11, "policy[2].keep_last", "no whole number"),
        ("keep_last = 1", "keep_last = -1", 11, "policy[2].keep_last", "no whole number"),
        ("keep_last = 1", 'per = "team"', 11, "policy[2].per", "keep_last"),
        ('keep = "forever"', 'keep = "yes"', 5, "policy[1].keep", "forever"),
        ('keep = "forever"', 'keep = "forever"\nolder_than = "1d"', 6, "policy[1].older_than", "says otherwise"),
        ('keep = "forever"', "", 2, "policy[1].older_than", "when sessions go"),
        ('labels = { env = "test" }', "labels = { env = 5 }", 9, "policy[2].labels", "any value"),
        ('labels = { env = "test" }', "", 13, "policy[3].labels", "never reached"),
        ('name = "tests"', 'name = "litigation"', 8, "policy[2].name", "another one"),
        ('name = "tests"', "name = 5", 8, "policy[2].name", "no name"),
        ("[[policy]]", "[[policies]]", 2, "policies", "no such section: did you mean policy?"),
        ('name = "tests"', 'name = "tests', 8, "", "no TOML"),
    ],
)
def test_a_mistake_is_told_with_line_and_field_before_anything_goes(
    log: SessionLog, tmp_path: Path, old: str, new: str, line: int, field: str, reason: str
) -> None:
    fill(log, 1)
    age(log, "s", timedelta(days=400))
    file = tmp_path / "policies.toml"
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(errors.InvalidPolicyError) as caught:
        log.retention.apply(file)
    assert (caught.value.line, caught.value.field) == (line, field)
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"{file}, line {line}")
    assert sessions(log) == {"s"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "no JSON"), ("[]", "no policy"), ('{"policy": {}}', "no policy"), ('{"policy": [5]}', "no table")],
)
def test_so_is_one_in_json(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "policies.json"
    file.write_text(text)
    with pytest.raises(errors.InvalidPolicyError, match=reason):
        RetentionPolicies.read(file)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "policies.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(errors.InvalidPolicyError, match=r"policies\.toml"):
        RetentionPolicies.read(file)
