"""Proof that a session is what was written."""

from .anchors import Anchor, Expect, anchors_in
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
    "anchors_in",
    "verify",
    "verify_all",
]
