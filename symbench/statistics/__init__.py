"""Estimates with intervals. The unit of resampling is the base sample: the copies of an orbit are not independent.

scipy and statsmodels hold the distributions; this folder chooses which interval fits which estimator.
NumPy in, floats out, no torch.
"""

from __future__ import annotations

from symbench.statistics.betting import Wealth
from symbench.statistics.bootstrap import RESAMPLES, resampled_means
from symbench.statistics.change import absolute, change, no_change, relative_change
from symbench.statistics.confidence import Confidence
from symbench.statistics.interval import FEW, LEVEL, Array, Interval, deviating, unseen
from symbench.statistics.paired import (
    Discordance,
    difference,
    holm,
    mcnemar,
    ratio_difference,
    smallest_detectable_difference,
)
from symbench.statistics.sampled import Mean, Quantile, Ratio, Sampled, Smallest
from symbench.statistics.single import bounded_mean, mean, quantile, ratio, smallest_mean

__all__ = [
    "FEW",
    "LEVEL",
    "RESAMPLES",
    "Array",
    "Confidence",
    "Discordance",
    "Interval",
    "Mean",
    "Quantile",
    "Ratio",
    "Sampled",
    "Smallest",
    "Wealth",
    "absolute",
    "bounded_mean",
    "change",
    "deviating",
    "difference",
    "holm",
    "mcnemar",
    "mean",
    "no_change",
    "quantile",
    "ratio",
    "ratio_difference",
    "relative_change",
    "resampled_means",
    "smallest_detectable_difference",
    "smallest_mean",
    "unseen",
]
