"""The house rules a machine can hold: how long a module may be, and that no class name stands twice.

What breaks the first today is named here. The list only gets shorter: what keeps to the rule again must go from it.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "consumers").rglob("*.py")])
LINES = 400
LONGER = {
    "strands_session_log/lifecycle/outbox.py": 520,
    "strands_session_log/live/publisher.py": 405,
    "strands_session_log/recorder/hooks.py": 410,
    "strands_session_log/recorder/worker.py": 495,
    # What users hold: each of its methods says what it takes, returns and raises.
    "strands_session_log/session_log/log.py": 745,
    "strands_session_log/session_manager/manager.py": 415,
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT)).partition("/")[2]


def test_a_module_has_one_subject_in_at_most_400_lines() -> None:
    lines = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    too_long = {name: count for name, count in lines.items() if count > LONGER.get(name, LINES)}
    assert not too_long, "divide it by subject, or name it in LONGER with a reason"
    assert {name for name in LONGER if lines[name] <= LINES} == set(), "it keeps to the rule: take it out of LONGER"


def test_no_class_name_stands_twice() -> None:
    nodes = (node for path in MODULES for node in ast.walk(ast.parse(path.read_text())))
    classes = (node for node in nodes if isinstance(node, ast.ClassDef))
    counted = Counter(node.name for node in classes if not node.name.startswith("_"))
    assert {name for name, count in counted.items() if count > 1} == set(), "give it a name of its own"
