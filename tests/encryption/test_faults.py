"""A call whose reply is lost is the same bytes when it is sent again; what is chained anew is encrypted anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from strands_session_log import LocalKeys, SessionLog, events
from strands_session_log.event_log import appender
from support import FaultProxy

from .helpers import SECRET, begin, message, note, texts


@pytest.fixture
def chained(monkeypatch: pytest.MonkeyPatch) -> list[list[bytes]]:
    """The bodies of each batch that was chained, in the order in which that was done."""
    chain: Callable[..., Any] = vars(appender)["chain_batch"]
    made = list[list[bytes]]()

    def noting(*arguments: Any) -> Any:
        batch = chain(*arguments)
        made.append(batch.arguments[15::12])
        return batch

    monkeypatch.setattr(appender, "chain_batch", noting)
    return made


@pytest.mark.parametrize("swallowed", [1, 2, 3])
def test_a_lost_reply_stores_nothing_twice(
    proxy: FaultProxy, keys: LocalKeys, chained: list[list[bytes]], swallowed: int
) -> None:
    with SessionLog.connect(proxy.url, encryption=keys) as log:
        begin(log)
        del chained[:]
        proxy.swallow_replies(swallowed, of=b"EVALSHA")
        log.append("s", message(2, "once"))
        assert texts(log) == [SECRET, f"{SECRET} again", "once"]
        assert len(chained) == 1
        assert log.verify("s").ok


def test_what_is_chained_anew_is_encrypted_anew(opened: Any, keys: LocalKeys, chained: list[list[bytes]]) -> None:
    ours, theirs = opened(keys), opened(keys)
    begin(ours)
    theirs.append("s", note("meanwhile"))
    del chained[:]
    ours.append("s", [note(), events.Custom("custom.other", {"text": SECRET})])
    first, second = chained
    assert all(one != other for one, other in zip(first, second, strict=True))
    assert len({body[21:33] for body in (*first, *second)}) == 4
    assert ours.verify("s").ok
