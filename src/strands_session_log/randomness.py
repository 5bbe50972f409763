"""Random bytes from the system, bought in bulk: to ask it twice an event takes longer than the rest of its hashing.

None is ever given out twice: whoever had the salt of an erased body could guess it, if it was short. So a fork begins
with none, and what was bought is good for a second only, lest the copies of a machine that was put to sleep and woken
more than once go on with the same.
"""

from __future__ import annotations

import os
from time import time

BYTES = 16
_AT_ONCE = 64
_GOOD_FOR = 1.0

# What threads and signal handlers do at the same time is safe, as each operation of a list happens as a whole: one is
# popped once. A fork empties this very list, which a caller that the fork interrupted may have in hand.
_bought: list[bytes] = []
_good_from = 0.0


def random_bytes() -> bytes:
    """16 random bytes that nobody else has: no other caller, thread or process."""
    if not 0.0 <= time() - _good_from < _GOOD_FOR:
        _buy()
    while True:
        try:
            return _bought.pop()
        except IndexError:
            _buy()


def _buy() -> None:
    global _good_from
    process = os.getpid()
    _bought.clear()
    _good_from = time()
    bytes_ = os.urandom(_AT_ONCE * BYTES)
    _bought.extend([bytes_[start : start + BYTES] for start in range(0, len(bytes_), BYTES)])
    if os.getpid() != process:
        # A signal's handler forked meanwhile: the parent has these.
        _bought.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_bought.clear)
