"""The house rules a machine can hold: how long a module is, that class names stand once, that tests assert.

What breaks one today is named here. The lists only get shorter: what keeps to the rule again must go from it.
"""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "consumers").rglob("*.py")])
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path.parent.name not in ("typing", "bench", "groups"))
SAYS = {"raises", "expect", "wait_until", "wait_until_collected"}
# Their assertions are those of a state machine, which hypothesis runs.
SAYS_NOTHING_ITSELF = {
    "test_every_life_of_an_agent_is_told_as_it_was",
    "test_every_sequence_of_calls_has_the_same_results_as_with_files",
}
LINES = 400
LONGER = {
    "strands_session_log/recorder/worker.py": 490,
    # What users hold: each of its methods says what it takes, returns and raises.
    "strands_session_log/session_log/log.py": 800,
}


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT)).partition("/")[2]


def test_a_module_has_one_subject_in_at_most_400_lines() -> None:
    lines = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    too_long = {name: count for name, count in lines.items() if count > LONGER.get(name, LINES)}
    assert not too_long, "divide it by subject, or name it in LONGER with a reason"
    assert {name for name in LONGER if lines[name] <= LINES} == set(), "it keeps to the rule: take it out of LONGER"


def test_no_class_name_stands_twice() -> None:
    nodes = (node for path in MODULES for node in nodes_of(path))
    classes = (node for node in nodes if isinstance(node, ast.ClassDef))
    counted = Counter(node.name for node in classes if not node.name.startswith("_"))
    assert {name for name, count in counted.items() if count > 1} == set(), "give it a name of its own"


def imports_of(path: Path) -> set[str]:
    """The modules a module imports from, by their full names."""
    package = name_of(path).removesuffix("/__init__.py").removesuffix(".py").split("/")
    if path.name != "__init__.py":
        package.pop()
    found = set[str]()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            found.add(".".join([*above, *filter(None, [node.module])]))
    return found


def test_there_is_one_doorway_to_the_server() -> None:
    above = {name_of(path): imports_of(path) for path in MODULES if "strands_session_log/server/" not in str(path)}
    drivers = {name for name, imports in above.items() if any(one.partition(".")[0] == "valkey" for one in imports)}
    assert drivers == set(), "a Store from strands_session_log.server does it, and its errors are ours"
    ours = "strands_session_log.server."
    inside = {name for name, imports in above.items() if any(one.startswith(ours) for one in imports)}
    assert inside == set(), "what is above the server imports from strands_session_log.server, not from its modules"


def functions_of(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def names_in(tree: ast.AST) -> set[str]:
    nodes = list(ast.walk(tree))
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return attributes | {node.id for node in nodes if isinstance(node, ast.Name)}


def says_something(tree: ast.AST, helpers: set[str]) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(tree)) or bool(names_in(tree) & (SAYS | helpers))


def helpers_that_say(tree: ast.AST, helpers: set[str]) -> set[str]:
    """The functions beside the tests that assert something, by themselves or by another of them."""
    others = [one for one in functions_of(tree) if not one.name.startswith("test_")]
    more = {one.name for one in others if says_something(one, helpers)} | helpers
    return more if more == helpers else helpers_that_say(tree, more)


def test_every_test_says_something() -> None:
    silent: set[str] = set()
    for path in TESTS:
        tree = ast.parse(path.read_text())
        helpers = helpers_that_say(tree, set())
        tests = (one for one in functions_of(tree) if one.name.startswith("test_"))
        silent |= {one.name for one in tests if not says_something(one, helpers)}
    assert silent == SAYS_NOTHING_ITSELF, "assert what its name says"
