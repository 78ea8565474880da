"""How many samples of one arm a sample of another is worth: the distance between two curves, along the samples."""

from __future__ import annotations

import numpy as np
import pandas as pd

from symbench.algebra.metrics import Metrics
from symbench.algebra.statistics import Array, Interval
from symbench.algebra.statistics.replicas import two_level
from symbench.base.errors import CellError, Problem
from symbench.base.records import Manifest
from symbench.measure.suite.studies import Exchange
from symbench.read.estimates import BOOTSTRAP_SEED, Cells
from symbench.read.studies.answer import Answer, name_in_words
from symbench.read.studies.arms import listed, sweep_of, table_of

FEWEST = 2
"""Numbers of samples that a curve has at least."""


def answer(cells: Cells, manifest: Manifest, asked: Exchange, metrics: Metrics) -> Answer:
    """How many times the samples the second arm needs for what the first reaches.

    Both curves are drawn over the logarithm of the samples, straight between points and never falling. At every value
    that both reach, the samples that the second needs are divided by those of the first; the rate is the geometric
    mean of these quotients.

    Raises:
        CellError: nothing of the arms was measured, or the metric has no value.
    """
    sweep = sweep_of(cells, manifest, asked, asked.over)
    one, other = asked.arms or ("", "")
    curves = [[point for point in sweep.of(arm) if point.records] for arm in (one, other)]
    short = [arm for arm, curve in zip((one, other), curves, strict=True) if len(curve) < FEWEST]
    if short:
        raise CellError(Problem(listed(short), f"got fewer than {FEWEST} numbers of samples", "a curve"))
    points = [*curves[0], *curves[1]]
    sizes = [np.log([float(point.at) for point in curve]) for curve in curves]
    tables = [table_of(cells, point, asked.metric, asked.element, metrics) for point in points]
    sign = -1.0 if metrics[asked.metric].better == "lower" else 1.0
    rate = two_level(
        [table.values for table in tables],
        lambda means: log_rates(
            sizes[0], sign * means[:, : len(sizes[0])], sizes[1], sign * means[:, len(sizes[0]) :]
        ),
        seed=BOOTSTRAP_SEED,
    ).interval
    frame = pd.DataFrame(
        {
            "arm": [p.arm for p in points],
            "at": [p.at for p in points],
            "replicas": [len(p.records) for p in points],
            "estimate": [float(t.values.mean()) for t in tables],
            "unit": [t.unit for t in tables],
        }
    )
    title = asked.title or f"what a sample of {one} is worth in samples of {other}"
    row, name = metrics[asked.metric], name_in_words(asked.metric)
    about = {"row": row, "over": asked.over, "label": name}
    return Answer(title, _said(rate, one, other, name), frame, "exchange", about)


def log_rates(sizes: Array, curves: Array, other_sizes: Array, other_curves: Array) -> Array:
    """The mean distance between two curves along the logarithm of the samples.

    Args:
        sizes: logarithms of the first curve's samples, ascending, ``(a,)``.
        curves: its values, higher is better, ``(draws, a)``.
        other_sizes: the second's, ``(b,)``.
        other_curves: likewise, ``(draws, b)``.

    Returns:
        ``(draws,)``: positive where the second needs more samples. NaN where no value is reached by both.
    """
    return np.array(
        [_log_rate(sizes, mine, other_sizes, theirs) for mine, theirs in zip(curves, other_curves, strict=True)]
    )


def _log_rate(sizes: Array, mine: Array, other_sizes: Array, theirs: Array) -> float:
    if not (np.isfinite(mine).all() and np.isfinite(theirs).all()):
        return float("nan")
    # A curve that falls by chance is level there: each value is reached where the curve first comes to it.
    mine, theirs = np.maximum.accumulate(mine), np.maximum.accumulate(theirs)
    low, high = max(mine[0], theirs[0]), min(mine[-1], theirs[-1])
    if not low < high:
        return float("nan")
    values = np.linspace(low, high, 33)
    return float(np.mean(_reached(values, theirs, other_sizes) - _reached(values, mine, sizes)))


def _reached(values: Array, curve: Array, sizes: Array) -> Array:
    """Where a curve that never falls first comes to each value."""
    after = np.clip(np.searchsorted(curve, values, side="left"), 1, len(curve) - 1)
    before = after - 1
    rise = curve[after] - curve[before]
    part = np.divide(values - curve[before], rise, out=np.zeros_like(values), where=rise > 0)
    reached: Array = sizes[before] + part.clip(0, 1) * (sizes[after] - sizes[before])
    return reached


def _said(rate: Interval, one: str, other: str, metric: str) -> str:
    if not np.isfinite(rate.estimate):
        return f"Inconclusive: there is no {metric} that both {one} and {other} reach, so nothing can be exchanged."
    words = f"For the same {metric}, {other} needs {np.exp(rate.estimate):.2f} times the samples of {one}"
    if rate.low is None or rate.high is None:
        return f"{words}: inconclusive, since there is no interval over seeds and samples."
    ends = f"{words}, 95 % interval {np.exp(rate.low):.2f} to {np.exp(rate.high):.2f} over seeds and samples"
    if rate.low <= 0 <= rate.high:
        return f"{ends}: inconclusive, since 1 lies within it."
    return f"{ends}."
