"""Some samples that stand for all."""

from __future__ import annotations

import numpy as np

LOOKED_AT = 64
"""Samples that are looked at to see what all are like."""


def spread(count: int) -> np.ndarray:
    """Indices of up to 64 of ``count`` samples, evenly from the first to the last."""
    # unique: where there are few samples, rounding names some of them twice.
    return np.unique(np.linspace(0, count - 1, min(LOOKED_AT, count)).astype(np.int64))
