"""What Ctrl-C may come into."""

from __future__ import annotations

from threading import Condition

import pytest

from strands_session_log.concurrency import held


def test_what_comes_right_after_a_wait_has_let_go_of_its_lock_is_not_hidden() -> None:
    changed = Condition()

    def interrupted() -> None:
        with held(changed):
            changed.release()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert changed.acquire(blocking=False)
