"""What users may import is used, as they type it, in `tests/typing`, which type checkers run over."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

import strands_session_log
from strands_session_log import FeedTail, LiveTail, SessionLog, Subscriber, Tail, moving
from strands_session_log.subscription import Deliveries, ParkedEvents, SyncDeliveries

TYPING = Path(__file__).parent.parent / "typing"
USED = {
    name
    for file in TYPING.glob("*.py")
    if file.name != "mistakes.py"
    for node in ast.walk(ast.parse(file.read_text()))
    for name in [getattr(node, "id", getattr(node, "attr", None))]
    if isinstance(node, (ast.Name, ast.Attribute))
}


@pytest.mark.parametrize("module", [strands_session_log, moving])
def test_every_public_name_is_used_in_what_type_checkers_run_over(module: ModuleType) -> None:
    assert sorted(set(module.__all__) - USED) == []


@pytest.mark.parametrize(
    "kind", [SessionLog, Subscriber, Deliveries, SyncDeliveries, ParkedEvents, Tail, FeedTail, LiveTail]
)
def test_so_is_every_public_method_and_property(kind: type) -> None:
    names = {name for one in kind.__mro__[:-1] for name in vars(one) if not name.startswith("_")}
    assert sorted(names - USED) == []
