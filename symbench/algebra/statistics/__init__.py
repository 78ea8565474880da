"""Estimates with intervals. The unit of resampling is the base sample: the copies of an orbit are not independent.

scipy and statsmodels hold the distributions; this folder chooses which interval fits which estimator.
NumPy in, floats out, no torch.
"""

from __future__ import annotations

from symbench.algebra.statistics.betting import Wealth
from symbench.algebra.statistics.bootstrap import RESAMPLES, resampled_means
from symbench.algebra.statistics.change import absolute, change, no_change, relative_change
from symbench.algebra.statistics.confidence import Confidence
from symbench.algebra.statistics.interval import FEW, LEVEL, Array, Interval, deviating, unseen
from symbench.algebra.statistics.largest import LargestMean, largest_change, largest_mean
from symbench.algebra.statistics.paired import (
    Discordance,
    difference,
    holm,
    mcnemar,
    ratio_difference,
    smallest_detectable_difference,
)
from symbench.algebra.statistics.passes import ENOUGH_PASSES, Passes
from symbench.algebra.statistics.quantiles import Quantile, UpperQuantile
from symbench.algebra.statistics.sampled import Deferred, Mean, Ratio, Sampled, Smallest
from symbench.algebra.statistics.single import (
    bounded_mean,
    mean,
    quantile,
    ratio,
    smallest_mean,
    upper_quantile,
    upper_quantile_of,
)

__all__ = [
    "ENOUGH_PASSES",
    "FEW",
    "LEVEL",
    "RESAMPLES",
    "Array",
    "Confidence",
    "Deferred",
    "Discordance",
    "Interval",
    "LargestMean",
    "Mean",
    "Passes",
    "Quantile",
    "Ratio",
    "Sampled",
    "Smallest",
    "UpperQuantile",
    "Wealth",
    "absolute",
    "bounded_mean",
    "change",
    "deviating",
    "difference",
    "holm",
    "largest_change",
    "largest_mean",
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
    "upper_quantile",
    "upper_quantile_of",
]
