"""The interval, and what is exact where few samples deviate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

LEVEL = 0.95
FEW = 20
"""With fewer samples than this away from the commonest value, an exact binomial interval is used."""
TOLERANCE = 1e-12
"""Values that differ by less than this of their scale are equal: weighted sums differ in the last digit."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Interval:
    """A value with its confidence limits; limits are None where there is no interval, never a guess.

    Attributes:
        estimate: the value.
        low: lower limit.
        high: upper limit.
        n: base samples behind it.
    """

    estimate: float
    low: float | None
    high: float | None
    n: int


def deviating(values: Array) -> int:
    """How many samples differ from the commonest value."""
    return commonest(values)[1]


def commonest(values: Array, scale: float = 1.0) -> tuple[float, int]:
    """The commonest value, and how many samples differ from it by more than ``TOLERANCE`` of the scale."""
    # In steps of the tolerance: np.unique on the floats themselves takes 0.3 and 0.1 + 0.2 for two values, and a cell
    # whose samples all agree would seem to vary.
    steps, counts = np.unique(np.round(values / scale / TOLERANCE), return_counts=True)
    most = int(counts.argmax())
    return float(steps[most]) * TOLERANCE * scale, int(len(values) - counts[most])


def usual(values: Array) -> tuple[float, int] | None:
    """The commonest value and how many samples differ from it; None unless fewer than 20 do, and at most half.

    Where more do, there is no usual value, and a small sample is just small.
    """
    value, others = commonest(values, float(np.abs(values).max()) or 1.0)  # all 0: any scale will do, but not 0
    return (value, others) if others < FEW and others <= len(values) / 2 else None


def exact(mean: float, n: int, tail: float) -> tuple[float, float]:
    """Clopper-Pearson's limits of a share, for values in [0, 1]: no distribution of this mean varies more.

    Args:
        mean: of the values, in [0, 1].
        n: samples.
        tail: the probability beyond either limit.
    """
    # The mean of shares need not be a whole number of hits. The Beta quantiles take any real number; what rounding
    # takes beyond [0, n] would make them NaN.
    hits = min(max(mean, 0.0), 1.0) * n
    low = float(special.betaincinv(hits, n - hits + 1, tail)) if hits > 0 else 0.0
    high = float(special.betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return low, high


def unseen(n: int) -> float:
    """The share of a kind of sample that n samples miss with the probability 2.5 %: about 3.7 / n.

    What is rarer is likelier to go unseen, and no test on n samples knows of it.
    """
    return exact(0.0, n, (1 - LEVEL) / 2)[1]


def exact_shift(changes: Array, scale: float, tail: float) -> tuple[float, float]:
    """Limits of the mean of ``changes`` most of which are 0: Clopper-Pearson's for either direction, combined.

    ``up`` is the share of samples that rose and ``down`` of those that fell, each counted by how far as a part of
    ``scale``. The limits are ``scale (up_low - down_high)`` and ``scale (up_high - down_low)``: with no change at
    all among n samples, about -3.7 / n and 3.7 / n of the scale at the level 95 %.

    Args:
        changes: ``(n,)``, within ``scale`` of 0.
        scale: the largest change there can be.
        tail: the probability beyond either limit.
    """
    # Rises and falls apart, for their sum hides them: as many lost as gained is a mean of 0 and not a change of 0.
    n = len(changes)
    up = exact(float(changes.clip(0).mean()) / scale, n, tail)
    down = exact(float((-changes).clip(0).mean()) / scale, n, tail)
    return scale * (up[0] - down[1]), scale * (up[1] - down[0])


def require_finite(what: str, *columns: Array) -> None:
    """Raise ``ValueError`` where a value is not finite, or the columns are not of one length of at least 1.

    NaN would lose every comparison, and pass.
    """
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1 or lengths[0] == 0:
        raise ValueError(
            f"{what}: got {' and '.join(map(str, lengths))} values, expected as many of each, at least 1"
        )
    # ``~isfinite`` and not a comparison: every comparison with NaN is False, so that a NaN would be neither too large
    # nor too small.
    bad = sum(int((~np.isfinite(column)).sum()) for column in columns)
    if bad:
        raise ValueError(f"{what}: {bad} values are not finite, and there is no estimate without them")
