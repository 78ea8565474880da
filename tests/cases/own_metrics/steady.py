"""Metrics of a user's own: one with all that reports and gates ask of it, and one that is a bare function."""

from symbench.algebra.metrics import MetricRow
from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.statistics import Mean


def steadiness(seen: Observed) -> list[Value]:
    """Share of samples that hardly deviate."""
    small = (seen.deviation_sq[1:] < 0.25).mean(axis=0)
    return [Value.of(Mean(small))]


def largest(seen: Observed) -> list[Value]:
    """The largest squared deviation."""
    return [Value(float(seen.deviation_sq.max()), n=seen.deviation_sq.shape[1])]


def raising(seen: Observed) -> list[Value]:
    """What never works."""
    raise ZeroDivisionError(seen.moved)


STEADY = MetricRow(
    "steady.py:steadiness",
    "share of samples that hardly deviate",
    unit="share",
    better="higher",
    heading="steady %",
    shown=("table", "comparison", "baseline"),
)
NUMBER = 3
