"""Random bytes that are bought in bulk: whoever gets some is the only one who ever does.

An erased body that is short could be guessed by whoever has its salt.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection

import pytest

from strands_session_log import chain, randomness
from strands_session_log.events.event import new_event_id

MANY = 200
"""More than are bought at once."""


def salts(count: int = MANY) -> list[bytes]:
    return [chain.new_salt() for _ in range(count)]


def send_salts(to: Connection) -> None:
    to.send((salts(), [new_event_id() for _ in range(MANY)]))


def test_a_fork_and_its_parent_never_have_the_same_salt_or_event_id() -> None:
    before = salts(1)
    while not randomness._bought:  # So that there are some in stock when the process forks.
        before += salts(1)
    forks = []
    for _ in range(3):
        ours, theirs = get_context("fork").Pipe(duplex=False)
        fork = get_context("fork").Process(target=send_salts, args=(theirs,))
        fork.start()
        forks.append((fork, ours))
    of_forks = [ours.recv() for _, ours in forks]
    for fork, _ in forks:
        fork.join()
    all_salts = before + salts() + [salt for found, _ in of_forks for salt in found]
    all_ids = [new_event_id() for _ in range(MANY)] + [id_ for _, ids in of_forks for id_ in ids]
    assert (len(set(all_salts)), len(set(all_ids))) == (len(all_salts), len(all_ids))
    assert (len(all_salts), len(all_ids)) == (4 * MANY + len(before), 4 * MANY)


def test_a_fork_in_the_middle_of_buying_leaves_what_was_bought_to_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the handler of a signal may: with no hook, and with the bytes in hand already."""
    processes = iter([1, 2])
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: next(processes))
        randomness._buy()
    assert randomness._bought == []
    assert len(set(salts())) == MANY


def test_threads_never_get_the_same() -> None:
    with ThreadPoolExecutor(8) as threads:
        found = [salt for some in threads.map(lambda _: salts(), range(64)) for salt in some]
    assert len(set(found)) == len(found) == 64 * MANY


def test_what_was_bought_a_while_ago_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that was put to sleep may be woken twice, with the same memory."""
    salts(1)
    in_stock, since = set(randomness._bought), randomness._good_from
    for later in (1.0, -1.0):
        monkeypatch.setattr(randomness, "_good_from", since)
        monkeypatch.setattr(randomness, "time", lambda now=since + later: now)
        assert in_stock.isdisjoint(salts(1))


def test_a_salt_has_16_bytes() -> None:
    assert {len(salt) for salt in salts()} == {chain.SALT_BYTES}
