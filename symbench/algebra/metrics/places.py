"""Deviations at single places, or for each place of an extensive output, in a unit that errors are told in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from symbench.algebra.fields.units import each, finer
from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.embedding import at_elements
from symbench.algebra.metrics.equivariance import FEW, KEPT, QUANTILE, unknown_error
from symbench.algebra.metrics.folds import Each, Folded, Found, Largest, Piece, Total
from symbench.algebra.statistics import Array, Mean, Ratio, UpperQuantile, upper_quantile_of

NO_PLACES = Value(None, reason="the output stands at no places, and is not declared to grow with any")
WHOLE = Value(None, reason="the output is one of the whole sample")
NO_DIRECTION = Value(None, reason="single numbers have no direction")
OLDER = Value(None, reason="measured before deviations were kept place by place")
MOST = 0.5
"""The share of samples from which on the place that is worst in them is named."""


def unit_of(known: Context) -> tuple[float, str]:
    """How many of the unit that errors are told in one of the output's is, and what it is called."""
    factor, name = finer(known.unit)
    return factor, each(name, known.axis or "place") if known.extensive else name


def _missing(seen: Context) -> Value:
    return OLDER if seen.axis is not None else NO_PLACES


def _deviations(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """Of each sample the mean over elements and places, and how many places it has; the sums at each element."""
    del found
    if seen.place_mean is None or seen.places is None:
        return _missing(seen)
    count = np.ones(len(seen.samples)) if seen.extensive else seen.places[0]
    weighted = seen.place_mean[1:] * count
    return {"off": Each(weighted.mean(axis=0)), "count": Each(count), "at each": Total(weighted.sum(axis=1))}


def _per_place(known: Context, found: Found) -> list[Value]:
    factor, unit = unit_of(known)
    off, count = factor * found["off"], found["count"]
    even = bool((count == count[0]).all())
    overall = Mean(off / count[0], bounded=False) if even else Ratio(off, count)
    total = float(count.sum()) / known.n
    sums = factor * found["at each"] / total
    single = at_elements(known, sums, "place_mean", lambda values: factor * values * count / total, bounded=False)
    return [replace(value, unit=unit) for value in (Value.of(overall), *single)]


error_per_place = Folded(_per_place, (_deviations,), ("place_mean", "places"))
"""Mean length of ``f(g.x) - g.f(x)`` at a place, over places, samples and elements; then one for each element.

Of an extensive output, such as an energy, the length over the sample's number of places, the mean over samples and
elements: ``meV/atom``.
"""


def _tail(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.place_mean is None:
        return _missing(seen)
    count = seen.n * seen.moved
    most = count if count <= FEW else math.ceil(KEPT * count)
    taken = Total(seen.moved * len(seen.samples))
    return {"largest means": Largest(seen.place_mean[1:], most), "taken": taken}


def _quantile(found: Found) -> Found:
    return {"upper": np.asarray(upper_quantile_of(found["largest means"], int(found["taken"]), QUANTILE))}


def _below(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    assert seen.place_mean is not None
    return {"below": Each((seen.place_mean[1:] <= found["upper"]).mean(axis=0))}


def _per_place_p95(known: Context, found: Found) -> list[Value]:
    factor, unit = unit_of(known)
    value = UpperQuantile(factor * found["largest means"], int(found["taken"]), found["below"], QUANTILE)
    return [replace(Value.of(value), unit=unit)]


error_per_place_p95 = Folded(_per_place_p95, (_tail, _below), ("place_mean",), _quantile)
"""95th percentile, over samples and elements, of a sample's mean over its places."""


def _extreme(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    values = seen.place_mean if seen.extensive else seen.place_largest
    return _missing(seen) if values is None else {"extreme": Each(values[1:].max(axis=0))}


def _per_place_max(known: Context, found: Found) -> list[Value]:
    factor, unit = unit_of(known)
    return [Value(factor * float(found["extreme"].max()), n=known.n, unit=unit)]


error_per_place_max = Folded(_per_place_max, (_extreme,), ("place_mean", "place_largest"))
"""Largest deviation seen at any place; a maximum has no interval."""


def _cosines(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.place_cosine is None or seen.places is None:
        return _missing(seen) if seen.place_mean is None else WHOLE if seen.extensive else NO_DIRECTION
    count = seen.places[0]
    return {"cosines": Each(seen.place_cosine[1:].mean(axis=0) * count), "places": Each(count)}


def _cosine(known: Context, found: Found) -> list[Value]:
    del known
    count = found["places"]
    even = bool((count == count[0]).all())
    return [Value.of(Mean(found["cosines"] / count[0], bounded=False) if even else Ratio(found["cosines"], count))]


place_cosine = Folded(_cosine, (_cosines,), ("place_mean", "place_cosine", "places"))
"""Mean cosine of ``f(g.x)`` and ``g.f(x)`` at a place, over places, samples and elements.

1 where both are zero, since nothing deviates; 0 where one of them is, which has no direction.
"""


def _largest(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """What E at the worst place is made of, and which place that is where a sample deviates most."""
    del found
    if seen.place_largest is None or seen.place_worst is None or seen.places is None:
        return WHOLE if seen.extensive and seen.place_mean is not None else _missing(seen)
    squares = np.square(seen.place_largest[1:])
    at = squares.argmax(axis=0)
    return {
        "worst squares": Each(squares.mean(axis=0)),
        "squares": Each(seen.deviation_sq[1:].mean(axis=0)),
        "unrelated": Each(seen.unrelated_sq[1:].mean(axis=0)),
        "where": Each(seen.place_worst[1:][at, np.arange(len(at))]),
        "many": Each(seen.places[0]),
    }


LARGEST = ("place_mean", "place_largest", "place_worst", "places", "deviation_sq", "unrelated_sq")


def _worst_place(known: Context, found: Found) -> list[Value]:
    above, below = found["worst squares"] * found["many"].mean(), found["unrelated"]
    why = unknown_error(known, float(above.sum()), float(below.mean()))
    return [why or replace(Value.of(Ratio(above, below, root=True)), reason=_named(known, found))]


worst_place_error = Folded(_worst_place, (_largest,), LARGEST)
"""E at the place where each sample is worst: the root of ``mean max_p |f(g.x) - g.f(x)|_p^2`` over the mean squared
distance of unrelated places. It is E where all places deviate alike, and root m times E where one of m does.

The reason names the place, from 0, that is worst in half of the samples or more.
"""


def _worst_share(known: Context, found: Found) -> list[Value]:
    if not found["squares"].sum() > 0:
        return [Value(None, reason="nothing deviates")]
    value = Value.of(Ratio(found["worst squares"], found["squares"]))
    return [replace(value, reason=_named(known, found), within=(0.0, 1.0))]


worst_place_share = Folded(_worst_share, (_largest,), LARGEST)
"""Of the squared deviation of a sample, the part at its worst place: 1 / m where m places deviate alike, 1 where one
does."""


def _named(known: Context, found: Found) -> str | None:
    """Which place is the worst of most samples that deviate, in words; None where rounding decides it."""
    where: Array = found["where"][found["worst squares"] > 0].astype(int)
    rounding = max(known.controls.get("error", 0.0), known.controls.get("single", 0.0)) ** 2
    beyond = float(found["squares"].sum()) > rounding * float(found["unrelated"].sum())
    if not len(where) or found["many"].max() < 2 or not beyond:
        return None
    counts = np.bincount(where)
    share = counts.max() / len(where)
    return f"place {counts.argmax()} is the worst of {100 * share:.0f} % of the samples" if share >= MOST else None
