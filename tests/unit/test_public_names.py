"""What users may import is used, as they type it, in `tests/typing`, which type checkers run over."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import strands_session_log
from strands_session_log import (
    FeedTail,
    LiveTail,
    SessionChecker,
    SessionLog,
    Subscriber,
    Tail,
    audit,
    evidence,
    moving,
    subscription,
    tail,
    testing,
)
from strands_session_log.exports import cloudevents
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


@pytest.mark.parametrize("module", [strands_session_log, moving, evidence, cloudevents, testing])
def test_every_public_name_is_used_in_what_type_checkers_run_over(module: ModuleType) -> None:
    assert sorted(set(module.__all__) - USED) == []


@pytest.mark.parametrize(
    "kind",
    [SessionLog, SessionChecker, Subscriber, Deliveries, SyncDeliveries, ParkedEvents, Tail, FeedTail, LiveTail],
)
def test_so_is_every_public_method_and_property(kind: type) -> None:
    names = {name for one in kind.__mro__[:-1] for name in vars(one) if not name.startswith("_")}
    assert sorted(names - USED) == []


@pytest.mark.parametrize("package", [strands_session_log, audit, evidence, subscription, tail, testing])
def test_a_name_that_comes_on_demand_is_the_one_that_type_checkers_see(package: ModuleType) -> None:
    seen = dict(imported_for_type_checkers(package))
    assert set(seen) == set(package.__all__) == set(dir(package))
    assert [name for name, found in seen.items() if getattr(package, name) is not found] == []
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        package.nonsense  # noqa: B018


def imported_for_type_checkers(package: ModuleType) -> Iterator[tuple[str, object]]:
    """What stands under `if TYPE_CHECKING`."""
    (block,) = [node for node in ast.parse(Path(str(package.__file__)).read_text()).body if is_for_type_checkers(node)]
    for node in ast.walk(block):
        if isinstance(node, ast.ImportFrom):
            module = import_module("." * node.level + (node.module or ""), package.__name__)
            yield from ((alias.name, getattr(module, alias.name)) for alias in node.names)


def is_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
