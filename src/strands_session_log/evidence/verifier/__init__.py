"""The verifier of evidence bundles that needs neither this package nor a server: the standard library, Python 3.9.

What is here imports nothing of the rest. A bundle has it as one file, `verify.py`, see `evidence.verifiers`; the same
in JavaScript is `evidence/verify.mjs`, and tests hold both to the same answer.
"""

from .archive import UnreadableBundleError
from .bundle import verify

__all__ = ["UnreadableBundleError", "verify"]
