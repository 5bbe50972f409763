"""Proof that a session is what was written."""

from .verifying import Verification, verify

__all__ = ["Verification", "verify"]
