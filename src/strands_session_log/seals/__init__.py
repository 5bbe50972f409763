"""Seals: where sessions stood is written down outside Valkey and signed, so that no administrator can rewrite history.

`SealWriter` adds the heads of all sessions that changed to a log of their own: a Merkle tree as RFC 6962 has it, signed
and laid out as C2SP has it (signed-note, tlog-checkpoint, tlog-tiles). `SealedLog` reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..on_demand import on_demand

if TYPE_CHECKING:
    from .checkpoint import Checkpoint, SealProof
    from .comparing import Deletions, SealComparison, compare_records
    from .keys import make_key_file, signing_key, verifier_keys
    from .note import SigningKey, VerifierKey
    from .record import SealMark, SealRecord
    from .sealed_log import SealedLog, SealedRecord, Seals
    from .sealing import SealSummary, SealWriter
    from .store import SealDirectory, SealStore
    from .verifying import checkpoint_problems, verify, verify_all

__all__ = [
    "Checkpoint",
    "Deletions",
    "SealComparison",
    "SealDirectory",
    "SealMark",
    "SealProof",
    "SealRecord",
    "SealStore",
    "SealSummary",
    "SealWriter",
    "SealedLog",
    "SealedRecord",
    "Seals",
    "SigningKey",
    "VerifierKey",
    "checkpoint_problems",
    "compare_records",
    "make_key_file",
    "signing_key",
    "verifier_keys",
    "verify",
    "verify_all",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "checkpoint": "Checkpoint SealProof",
            "comparing": "Deletions SealComparison compare_records",
            "keys": "make_key_file signing_key verifier_keys",
            "note": "SigningKey VerifierKey",
            "record": "SealMark SealRecord",
            "sealed_log": "SealedLog SealedRecord Seals",
            "sealing": "SealSummary SealWriter",
            "store": "SealDirectory SealStore",
            "verifying": "checkpoint_problems verify verify_all",
        },
    )
