"""A process that seals is killed again and again: every seal that was published stays, and the next run goes on."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from subprocess import PIPE

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.seals import SealedLog, SealWriter, checkpoint_problems, make_key_file
from support.programs import Program

pytestmark = pytest.mark.faults

_PROGRAM = """
import sys
from strands_session_log import SessionLog
from strands_session_log.seals import SealWriter, signing_key
url, namespace, place, key = sys.argv[1:]
with SessionLog.connect(url, namespace) as log:
    sealer = SealWriter(log, place, signing_key(key))
    print(flush=True)
    sealer.seal()
"""


def test_a_sealer_that_is_killed_at_any_moment_loses_nothing_and_signs_no_size_twice(
    log: SessionLog, server_url: str, tmp_path: Path
) -> None:
    place, key = tmp_path / "seals", make_key_file(tmp_path / "key", "example.com/agents")
    known, chance = dict[int, bytes](), random.Random(16)
    arguments = ["-c", _PROGRAM, server_url, log.namespace, str(place), str(tmp_path / "key")]
    for number in range(12):
        for _ in range(300):
            log.append(f"s-{chance.randrange(500)}", events.Custom("custom.note", {"number": number}))
        with Program(arguments, stdout=PIPE, text=True) as program:
            assert program.stdout is not None
            program.stdout.readline()
            # How far it comes meanwhile is what differs: from the first question to the last file.
            for _ in range(chance.randrange(1, 200)):
                log.head("s-0") if number else None
            program.send_signal(signal.SIGKILL)
            program.wait()
        if (place / "checkpoint").exists():
            sealed = SealedLog(place, [key.verifier])
            assert known.setdefault(len(sealed), sealed.checkpoint.root) == sealed.checkpoint.root
    SealWriter(log, place, key).seal()
    sealed = SealedLog(place, [key.verifier])
    assert {size: sealed.root_at(size) for size in known} == known
    assert list(checkpoint_problems(sealed)) == []
    assert {one.record.session_id for one in sealed.records()} == set(log.session_ids())
    assert [one for one in log.verify_all(against=sealed) if not one.verification.ok] == []
