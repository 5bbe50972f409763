"""Seals as users type them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from strands_session_log import Audited, SessionLog, Verification, errors, seals
from strands_session_log.seals import (
    Checkpoint,
    Deletions,
    SealComparison,
    SealDirectory,
    SealedLog,
    SealedRecord,
    SealMark,
    SealProof,
    SealRecord,
    Seals,
    SealStore,
    SealSummary,
    SealWriter,
    SigningKey,
    VerifierKey,
    checkpoint_problems,
    compare_records,
    make_key_file,
    signing_key,
    verifier_keys,
    verify,
    verify_all,
)

log = SessionLog.connect("valkey://localhost:6379")
key: SigningKey = make_key_file("seal.key", "example.com/agents")
key = signing_key(Path("seal.key"))
trusted: tuple[VerifierKey, ...] = verifier_keys(["example.com/agents+9f3a61c2+AWq0", "old.keys"])
_: object = (key.name, key.verifier, trusted[0].public, str(trusted[0]))

store: SealStore = SealDirectory("./seals")
done: SealSummary = SealWriter(log, store, key, trusted).seal(lambda done, total: None, everything=True)
failures: tuple[type[errors.SealError], ...] = (
    errors.SealBusyError,
    errors.SealDamagedError,
    errors.SealKeyError,
    errors.SealMismatchError,
    errors.SealNotFoundError,
    errors.SealUnwritableError,
)
_ = (done.checkpoint and done.checkpoint.size, done.sessions, done.deletions, done.skipped, done.finished)

sealed = SealedLog("./seals", trusted)
checkpoint: Checkpoint = sealed.checkpoint
mark: SealMark = sealed.mark
_ = (len(sealed), checkpoint.origin, checkpoint.root.hex(), mark.namespace, mark.time, sealed.signed_by)
records: Iterator[SealedRecord] = sealed.records()
record: SealRecord = next(records).record
_ = (record.session_id, record.revision, record.id.time, record.link, record.time, record.is_deleted)
proof: SealProof = sealed.proof("s-42")
found: SealProof | None = sealed.find("s-42")
checked: Checkpoint = SealProof.parse(proof.to_text(with_record=True)).verify(trusted)
steps: list[bytes] = sealed.consistency(12)
sealed.check(checked, "the one that was kept")
problems: list[str] = list(checkpoint_problems(sealed))

deletions = Deletions()
deletions.read(sealed)
compared: dict[str, SealComparison] = compare_records(log, records, deletions)
_ = (compared["s-42"].problems, compared["s-42"].records, compared["s-42"].deleted)

against: Seals = "./seals"
one: Verification = log.verify("s-42", against=against)
one = log.verify("s-42", against=sealed)
_ = one.sealed
every: Iterator[Audited] = log.verify_all(against=Path("./seals"))
_ = (seals.SealedLog is SealedLog, verify, verify_all)
