"""What real agents write, as a subscriber gets it."""

from __future__ import annotations

import pytest
from strands.hooks import HookRegistry

from strands_session_log import SessionLog, Subscriber
from support import talking

pytestmark = pytest.mark.skipif(
    not hasattr(HookRegistry, "invoke_callbacks_async"), reason="this version of Strands has fewer hooks"
)


def test_whatever_agents_do_the_feed_says_of_it_what_the_session_holds(log: SessionLog) -> None:
    talking.everything(log)
    told = len(talking.feed_of(log))
    with Subscriber(log, "g", bodies=True) as deliveries:
        found = [next(deliveries) for _ in range(told)]
        whole = [one for one in found if one.event and not one.event.is_erased]
        assert len(whole) > 30
        assert all(one.event and one.event.facts() == one.envelope.facts for one in whole)
    assert list(log.parked("g")) == []
