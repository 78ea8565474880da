"""Deviations by how far places are from the edge of the frame: whether padding deviates, or the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.equivariance import unknown_error
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece, Total
from symbench.algebra.statistics import Array, Ratio

DISTANCES = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32), (33, None))
"""From which to which distance from the edge, in pixels, each number of ``rim_sq`` is; the last one has no end."""
RIM = 4
"""The first so many hold the places that are at most 4 px from the edge."""
INNER = 6
"""From here on places are more than 16 px from it."""
NO_RIM = Value(None, reason="the output stands at no places of a frame, or was measured before they were kept apart")
READ = ("rim_sq", "places", "unrelated_sq", "deviation_sq")


def by_distance(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """Of each distance and sample the mean squared deviation over elements, ``(bins, n)``, with whether there is any
    place; and the mean squared distance of unrelated places."""
    del found
    if seen.rim_sq is None or seen.places is None:
        return NO_RIM
    squares = seen.rim_sq[1:]
    known = ~np.isnan(squares)
    count = known.sum(axis=0)
    means = np.where(known, squares, 0.0).sum(axis=0) / np.maximum(count, 1)
    unrelated = (seen.unrelated_sq[1:] / np.maximum(seen.places[1:], 1)).mean(axis=0)
    return {"by distance": Each(means.T), "there": Each((count > 0).T), "unrelated places": Each(unrelated),
            "null": Total(seen.unrelated_sq[1:].mean(axis=0).sum())}  # fmt: skip


def profile(found: Found) -> Array:
    """E at each distance from the edge, ``(bins,)``: NaN where there is no place."""
    there = found["there"]
    means = np.where(there, found["by distance"], 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    errors: Array = np.where(there.any(axis=1), np.sqrt(means / found["unrelated places"].mean()), np.nan)
    return errors


def _error(known: Context, found: Found, chosen: Array) -> list[Value]:
    """E of the places at some distances, every pixel of distance counting alike."""
    there = found["there"] & chosen[:, None]
    weights = there * _widths()[:, None]
    total = weights.sum(axis=0)
    if not total.all():
        return [Value(None, reason="a sample has no place as far from the edge")]
    above = (np.where(there, found["by distance"], 0.0) * weights).sum(axis=0) / total
    why = unknown_error(known, float(above.sum()), float(found["null"]) / known.n)
    return [why or replace(Value.of(Ratio(above, found["unrelated places"], root=True)))]


def _widths() -> Array:
    return np.array([1 if last is None else last - first + 1 for first, last in DISTANCES])


def _rim_error(known: Context, found: Found) -> list[Value]:
    return _error(known, found, np.arange(len(DISTANCES)) < RIM)


def _inner_error(known: Context, found: Found) -> list[Value]:
    innermost = int(np.flatnonzero(found["there"].any(axis=1)).max(initial=0))
    return _error(known, found, np.arange(len(DISTANCES)) >= min(INNER, innermost))


rim_error = Folded(_rim_error, (by_distance,), READ)
"""The root of the mean squared deviation of places at most 4 px from the edge over that of unrelated places."""
inner_error = Folded(_inner_error, (by_distance,), READ)
"""The same of places more than 16 px from the edge, or in a smaller frame those that are farthest from it: where it
is at the floor and ``rim_error`` is not, padding is to blame, as far as the model's reach does not hold all."""
