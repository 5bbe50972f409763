"""Proof that a session is what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..on_demand import on_demand

if TYPE_CHECKING:
    from .anchors import Anchor, Expect
    from .reading import CheckedEvents, IntegrityCheck
    from .sessions import Audited, verify_all
    from .stepwise import SessionChecker
    from .verifying import Verification, verify

__all__ = [
    "Anchor",
    "Audited",
    "CheckedEvents",
    "Expect",
    "IntegrityCheck",
    "SessionChecker",
    "Verification",
    "verify",
    "verify_all",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "anchors": "Anchor Expect",
            "reading": "CheckedEvents IntegrityCheck",
            "sessions": "Audited verify_all",
            "stepwise": "SessionChecker",
            "verifying": "Verification verify",
        },
    )
