"""Whatever happens to sessions, a bundle of them that nobody touched never alarms, and what is in it is not less."""

from __future__ import annotations

import io
import uuid
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strands_session_log import SessionLog, events
from strands_session_log.errors import SessionLogError
from support import Keyspace
from support.both_verifiers import BothVerifiers

SESSIONS = ("s", "fork", "fork of it")
names = st.sampled_from(SESSIONS)
texts = st.text(st.characters(codec="utf-8"), max_size=30)
steps = st.one_of(
    st.tuples(st.just("append"), names, st.lists(texts, min_size=1, max_size=4)),
    st.tuples(st.just("erase"), names, st.integers(1, 6)),
    st.tuples(st.just("fork"), st.sampled_from(list(pairwise(SESSIONS))), st.integers(1, 6)),
    st.tuples(st.just("delete"), names, st.none()),
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "types": st.sampled_from(["custom.*", "session.*"]),
        "agent": st.sampled_from(["a", "b"]),
        "after": st.integers(0, 2),
        "redact_bodies": st.booleans(),
    },
)


def do(log: SessionLog, step: tuple[str, Any, Any]) -> None:
    """One step, if it can be done."""
    what, name, value = step
    try:
        if what == "append":
            said = [events.Custom("custom.note", {"text": text}, agent="ab"[len(text) % 2]) for text in value]
            log.append(name, said)
        elif what == "erase":
            log.erase(name, value, "asked for")
        elif what == "fork":
            log.fork(name[0], value, name[1])
        else:
            log.delete(name)
    except SessionLogError:
        return


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(steps, min_size=1, max_size=14), filters, st.sampled_from([None, "zstd"]))
def test_bundles_of_any_history_are_fine(
    server_url: str, keyspace: Keyspace, both: BothVerifiers, history: Any, options: Any, compress: Any
) -> None:
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    with SessionLog.connect(server_url, namespace, compress=compress) as log:
        log.append("s", [events.Custom("custom.note", {"text": "x" * 500}, agent="a")])
        for step in history:
            do(log, step)
        file, anchors = io.BytesIO(), {name: log.anchor(name) for name in log.session_ids()}
        kept = {name: min(options.get("after", 0), one.revision) for name, one in anchors.items()}
        options = {**options, **({"after": min(kept.values(), default=0)} if "after" in options else {})}
        if anchors:
            log.export(list(anchors), file, **options)
    keyspace.delete(keyspace.under(namespace))
    if anchors:
        noted = [f"{name}:{one.revision}:{one.link}" for name, one in anchors.items()]
        code, report = both.report(file.getvalue(), noted)
        assert code == 0, report
        assert {one["session_id"]: one["revision"] for one in report["sessions"]} == {
            name: one.revision for name, one in anchors.items()
        }
