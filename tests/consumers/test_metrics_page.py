"""The Python of docs/metrics.md, run as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from strands_session_log import NO_SESSION, SessionLog, errors, events, instrumentation

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.fixture(autouse=True)
def no_hooks_afterwards() -> Iterator[None]:
    yield
    instrumentation.set_hooks([])


def test_the_page_about_metrics_runs_from_top_to_bottom(
    session_log: SessionLog, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
    assert code.count("start_http_server(8000)") == 1
    code = code.replace("start_http_server(8000)", 'served = start_http_server(0, "127.0.0.1")')
    scope: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), scope)
    server, _ = scope["served"]
    server.shutdown()
    server.server_close()

    session_log.append("s", events.Custom("custom.note", {}))
    with pytest.raises(errors.ConcurrentWriteError):
        session_log.append("s", events.Custom("custom.note", {}), expected=NO_SESSION)

    assert capsys.readouterr().out == "somebody else writes to the same session\n"
    assert (REGISTRY.get_sample_value("strands_session_log_append_conflicts_total") or 0) >= 1
