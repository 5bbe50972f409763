"""Large corpora and matrices: some of each in the default run, all in `make test-exhaustive`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(values: Iterable[Any], every: int) -> list[Any]:
    """Parameters, of which the default run takes every so-many-th, beginning with the first."""
    left_out = pytest.mark.exhaustive
    return [pytest.param(value, marks=[left_out] if number % every else []) for number, value in enumerate(values)]
