"""Proof that a session is what was written."""

from .anchors import Anchor, Expect
from .reading import CheckedEvents, IntegrityCheck
from .sessions import Audited, verify_all
from .verifying import Verification, verify

__all__ = [
    "Anchor",
    "Audited",
    "CheckedEvents",
    "Expect",
    "IntegrityCheck",
    "Verification",
    "verify",
    "verify_all",
]
