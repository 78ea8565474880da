"""How far ``f(g.x)`` is from ``g.f(x)``."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.statistics import Mean, Quantile, Ratio


def equivariance_error(seen: Observed) -> list[Value]:
    """E: the root of ``mean |f(g.x_i) - g.f(x_i)|^2 / mean_{i != j} |f(g.x_i) - g.f(x_j)|^2`` over k > 0.

    0 is exact; 1 is no better than another sample's output. The first value is over all elements, then one
    for each. None where other samples' outputs are not told apart beyond rounding.
    """
    return [_error(seen, slice(1, None), None)] + [
        _error(seen, slice(k, k + 1), seen.labels[k]) for k in range(1, len(seen.labels))
    ]


def _error(seen: Observed, elements: slice, label: str | None) -> Value:
    above = seen.deviation_sq[elements].mean(axis=0)
    below = seen.unrelated_sq[elements].mean(axis=0)
    null = float(below.mean())
    if not np.isfinite(above).all():
        return Value(None, element=label, reason="a deviation is not finite")
    if not null > seen.null_limit_sq:
        reason = "a single sample has no others" if math.isnan(null) else "samples' outputs differ by rounding only"
        return Value(None, element=label, reason=reason)
    return Value.of(Ratio(above, below, root=True), element=label, drawn=label is None)


EXACT = 1e-10
"""E in float64 below which a model is exact by construction."""


def equivariance_error_float64(seen: Observed) -> list[Value]:
    """E of the same weights in float64, on the control samples and some elements that permute or are exact.

    The reason holds the verdict: ``exact`` below 1e-10; ``broken`` where E does not move with precision, and by
    geometry where the same weights are exact at other sizes of the image; otherwise ``undetermined``, as of a model
    that computes in float32 inside. Half precision inside may explain any E, and rounds both runs alike: with it,
    nothing is determined. Where the model does not run in float64, the reason holds what can be said without that.
    """
    if "e32" in seen.controls and "e64" not in seen.controls and "float64" not in seen.measured:
        return [Value(None, reason=_as_it_runs(seen))]
    if "e64" not in seen.controls or "e32" not in seen.controls:
        reason = seen.reasons.get("exactness", "samples' outputs differ by rounding only")
        return [Value(None, reason=reason)]
    e64, e32 = seen.controls["e64"], seen.controls["e32"]
    # what float32 inside the model would come to is not broken
    floor = max(10 * seen.controls.get("error", 0.0), seen.controls.get("single", 0.0))
    if e64 < EXACT:
        verdict = "exact" if e64 == 0 else f"exact: {e32 / e64:.0e} times less than in the suite's dtype"
    elif not _halves(seen) and e64 > floor and 0.5 <= e32 / e64 <= 2:
        verdict = _geometry(seen, EXACT) or "broken: precision does not matter"
    else:
        verdict = _undetermined(seen)
    return [replace(seen.of_control("float64", Value(e64)), reason=verdict)]


AS_IT_RUNS = "as it runs, without float64"
"""What marks a verdict on a model that does not run in float64."""
HIDDEN = 1e-2
"""The largest E that rounding in float32 may come to, and so hide, where it is taken for all that there is."""


def _as_it_runs(seen: Observed) -> str:
    """The verdict where E is known in the suite's dtype alone: it is held against rounding in float32."""
    error, single = seen.controls["e32"], seen.controls["single"]
    if error <= single <= HIDDEN:
        verdict = "exact to rounding"
    elif not _halves(seen) and error > max(10 * single, 10 * seen.controls.get("error", 0.0)):
        verdict = _geometry(seen, single) or "broken: far beyond rounding in float32"
    else:
        verdict = _undetermined(seen, "rounding in float32 may explain it")
    return f"{verdict}, {AS_IT_RUNS}: {seen.reasons.get('precision', 'it was not tried')}"


def _halves(seen: Observed) -> bool:
    return any(dtype != "float32" for dtype in seen.lower.values())


def _undetermined(seen: Observed, otherwise: str = "is there lower precision inside?") -> str:
    """With the submodules that compute in lower precision: those in half precision, where there are any."""
    named = [f"{name} ({dtype})" for name, dtype in seen.lower.items() if dtype != "float32" or not _halves(seen)]
    if not named:
        return f"undetermined: {otherwise}"
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return f"undetermined: lower precision inside {', '.join(named[:3])}{more}"


def _geometry(seen: Observed, limit: float) -> str | None:
    """Whether the size of the image is to blame, and which sizes would be exact: of an E within the limit."""
    measured = next(iter(seen.sizes), None)
    exact = [size for size, error in seen.sizes.items() if error <= limit and size != measured]
    if not exact or measured is None:
        return None
    near = sorted(exact, key=lambda size: abs(size - measured))[:4]
    return f"broken by the image's size of {measured} px: exact at {', '.join(map(str, sorted(near)))} px"


def absolute_error(seen: Observed) -> list[Value]:
    """Mean of ``|f(g.x) - g.f(x)|`` over i and k > 0, in the output's unit, then one for each element."""
    deviation = np.sqrt(seen.deviation_sq[1:])
    overall = Value.of(Mean(deviation.mean(axis=0), bounded=False))
    return [overall] + [
        Value.of(Mean(row, bounded=False), element=label, drawn=False)
        for row, label in zip(deviation, seen.labels[1:], strict=True)
    ]


def absolute_error_p95(seen: Observed) -> list[Value]:
    """95th percentile of the deviation over i and k > 0."""
    return [Value.of(Quantile(np.sqrt(seen.deviation_sq[1:]), 0.95))]


def absolute_error_max(seen: Observed) -> list[Value]:
    """Largest deviation seen; a maximum has no interval."""
    return [Value(float(np.sqrt(seen.deviation_sq[1:].max())), n=seen.deviation_sq.shape[1])]
