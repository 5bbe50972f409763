"""What looks like a key or a password in a text: marked, so that a page hides it until somebody wants to see it.

A courtesy to those who look over a shoulder, and no protection: it stands in the log, and in the page. What is to be
gone is to be erased.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

_KEY_BEGINS: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----")
_KEY_ENDS: Final = re.compile(r"-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----|\Z")
_KEYS: Final = (
    r"\bsk-[A-Za-z0-9_-]{20,512}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bgh[opsur]_[A-Za-z0-9]{36,255}",
    r"\bgithub_pat_[A-Za-z0-9_]{36,255}",
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,255}",
    r"\bAIza[0-9A-Za-z_-]{35}",
    r"\beyJ[A-Za-z0-9_-]{8,512}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,2048}",
)
# What people call a secret, and what follows; a word of letters alone is more likely to be prose.
_NAMED: Final = r"""(?i:\b(?:pass(?:word|wd|phrase)|secret|token|api[_-]?key)["']?\s{0,3}[=:]\s{0,3}["']?)"""
_VALUE: Final = r"""(?P<value>(?=[^\s"',;&<>]{0,255}[0-9])[^\s"',;&<>]{8,256})"""
_IN_ADDRESS: Final = r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,16}://[^\s/:@]{0,128}:)(?P<inside>[^\s/@]{3,256})(?=@)"
_SECRET: Final = re.compile("|".join([*_KEYS, _NAMED + _VALUE, _IN_ADDRESS]))
_HINTS: Final = re.compile(r"sk-|A[KS]IA|gh[opsur]_|github_pat_|xox|AIza|eyJ|-----BEGIN|://|(?i:pass|secret|token|api)")
"""Cheaper than all of it: a text without any of these has none."""
_NAMES: Final = re.compile(r"(?i)pass(?:word|wd|phrase)|secret|api[_-]?key|(?:access|auth|bearer|refresh)[_-]?token")


def secrets_in(text: str) -> Iterator[tuple[int, int]]:
    """Where something stands in a text that looks like a key or a password: from where, and to where."""
    if not _HINTS.search(text):
        return
    spans = sorted([*_private_keys(text), *(_span(found) for found in _SECRET.finditer(text))])
    end = 0
    for first, last in spans:
        if first >= end:
            yield first, last
            end = last


def _private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Those of many lines; one that does not end goes on to the end."""
    begins = _KEY_BEGINS.search(text)
    while begins:
        ends = _KEY_ENDS.search(text, begins.end())
        last = ends.end() if ends else len(text)
        yield begins.start(), last
        begins = _KEY_BEGINS.search(text, last)


def has_private_key(text: str) -> bool:
    """Whether there is a key of many lines."""
    return _KEY_BEGINS.search(text) is not None


def has_secret(text: str) -> bool:
    """Whether there is any."""
    return next(secrets_in(text), None) is not None


def is_secret_name(name: Any) -> bool:
    """Whether what stands under a name is a password or a key, whatever it looks like."""
    return isinstance(name, str) and len(name) <= 64 and _NAMES.search(name) is not None


def _span(found: re.Match[str]) -> tuple[int, int]:
    return next((found.span(name) for name in ("value", "inside") if found[name] is not None), found.span())
