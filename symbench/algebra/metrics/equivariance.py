"""How far ``f(g.x)`` is from ``g.f(x)``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from symbench.algebra.controls import FIXED
from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.embedding import at_elements, over_elements
from symbench.algebra.metrics.folds import Each, Folded, Found, Largest, Piece, Total
from symbench.algebra.statistics import Deferred, Mean, Ratio, UpperQuantile, upper_quantile_of


def _errors(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """The means over elements of what E is made of, for each sample, and their sums over samples for each element."""
    del found
    above, below = over_elements(seen.deviation_sq[1:]), over_elements(seen.unrelated_sq[1:])
    return {
        f"{name} {side}": piece for side, of in (("above", above), ("below", below)) for name, piece in of.items()
    }


def _equivariance_error(known: Context, found: Found) -> list[Value]:
    above, below = found["means above"], found["means below"]
    first = unknown_error(known, float(above.sum()), float(below.mean())) or Value.of(Ratio(above, below, root=True))
    return [first, *(_error_at(known, found, k) for k in range(1, known.moved + 1))]


def _error_at(known: Context, found: Found, k: int) -> Value:
    above, below = float(found["sums above"][k - 1]), float(found["sums below"][k - 1])
    if (unknown := unknown_error(known, above, below / known.n)) is not None:
        return replace(unknown, element=known.labels[k])

    def values() -> Ratio:
        seen = known.element(k, "deviation_sq", "unrelated_sq")
        return Ratio(seen.deviation_sq[0], seen.unrelated_sq[0], root=True)

    error = Deferred(math.sqrt(above / below), known.n, known.n, values)
    return Value.of(error, element=known.labels[k], drawn=False)


def unknown_error(known: Context, deviation: float, null: float) -> Value | None:
    """Why there is no E: of the sum of deviations and the mean distance to other samples' outputs."""
    if not math.isfinite(deviation):
        return Value(None, reason="a deviation is not finite")
    if null > known.null_limit_sq:
        return None
    return Value(None, reason="a single sample has no others" if math.isnan(null) else ROUNDING)


ROUNDING = "samples' outputs differ by rounding only"
equivariance_error = Folded(_equivariance_error, (_errors,), ("deviation_sq", "unrelated_sq"))
"""E: the root of ``mean |f(g.x_i) - g.f(x_i)|^2 / mean_{i != j} |f(g.x_i) - g.f(x_j)|^2`` over k > 0.

0 is exact; 1 is no better than another sample's output. The first value is over all elements, then one for each. None
where other samples' outputs are not told apart beyond rounding.
"""


EXACT = 1e-10
"""E in float64 below which a model is exact by construction."""


def _float64(seen: Context, found: Found) -> list[Value]:
    if "e32" in seen.controls and "e64" not in seen.controls and "float64" not in seen.measured:
        return [Value(None, reason=_as_it_runs(seen))]
    if "e64" not in seen.controls or "e32" not in seen.controls:
        reason = seen.reasons.get("exactness", "samples' outputs differ by rounding only")
        return [Value(None, reason=reason)]
    e64, e32 = seen.controls["e64"], seen.controls["e32"]
    # what float32 inside the model would come to is not broken
    floor = max(10 * seen.controls.get("error", 0.0), seen.controls.get("single", 0.0))
    if e64 < EXACT and _others_deviate(seen, found, MARGIN * max(e32, floor)):
        verdict = _undetermined(seen, "exact on the control samples, and others deviate")
    elif e64 < EXACT:
        verdict = "exact" if e64 == 0 else f"exact: {e32 / e64:.0e} times less than in the suite's dtype"
    elif not _halves(seen) and e64 > floor and 0.5 <= e32 / e64 <= 2:
        verdict = _geometry(seen, EXACT) or _otherwise(seen) or PLAINLY
    else:
        verdict = _undetermined(seen)
    return [replace(seen.of_control("float64", Value(e64)), reason=verdict)]


def _others_deviate(seen: Context, found: Found, limit: float) -> bool:
    """Whether E of all samples is beyond a limit under elements that lose nothing, and control samples are a few."""
    whole = [k - 1 for k, kind in enumerate(seen.kinds) if k > 0 and kind not in LOSING]
    if not whole or not 0 < seen.measured.get("float64", ("", 0, 0))[2] < seen.n:
        return False
    above, below = (float(found[name][whole].sum()) for name in ("sums above", "sums below"))
    return below > 0 and math.sqrt(above / below) > limit


equivariance_error_float64 = Folded(_float64, (_errors,), ("deviation_sq", "unrelated_sq"))
"""E of the same weights in float64, on the control samples and some elements that permute or are exact.

The reason holds the verdict: ``exact`` below 1e-10; ``broken`` where E does not move with precision, and by
geometry where the same weights are exact at other sizes of the image; otherwise ``undetermined``, as of a model
that computes in float32 inside, or that is exact on the few control samples and deviates on others. Half
precision inside may explain any E, and rounds both runs alike: with it, nothing is determined. Where the model
does not run in float64, the reason holds what can be said without that.
"""
LOSING = ("lossy", "resampled")
"""Kinds of elements under which an exact model has an error."""
PLAINLY, BEYOND = "broken: precision does not matter", "broken: far beyond rounding in float32"
"""The verdicts that name no cause."""
AS_IT_RUNS = "as it runs, without float64"
"""What marks a verdict on a model that does not run in float64."""
HIDDEN = 1e-2
"""The largest E that rounding in float32 may come to, and so hide, where it is taken for all that there is."""


def _as_it_runs(seen: Context) -> str:
    """The verdict where E is known in the suite's dtype alone: it is held against rounding in float32."""
    error, single = seen.controls["e32"], seen.controls["single"]
    if error <= single <= HIDDEN:
        verdict = "exact to rounding"
    elif not _halves(seen) and error > max(10 * single, 10 * seen.controls.get("error", 0.0)):
        verdict = _geometry(seen, single) or _otherwise(seen) or BEYOND
    else:
        verdict = _undetermined(seen, "rounding in float32 may explain it")
    return f"{verdict}, {AS_IT_RUNS}: {seen.reasons.get('precision', 'it was not tried')}"


def _halves(seen: Context) -> bool:
    return any(dtype != "float32" for dtype in seen.lower.values())


def _otherwise(seen: Context) -> str | None:
    """Broken by what is declared: another action fits, or a leaf or an action is not what it is taken for."""
    for control in seen.findings:
        if control not in (FIXED, "exactness") and (words := _words(seen, control)):
            return f"broken: {words}"
    return None


def _words(seen: Context, control: str) -> str:
    """All that a control has to say."""
    return "; ".join(each.words for each in seen.findings.get(control, ()) if each.words)


def _undetermined(seen: Context, otherwise: str = "is there lower precision inside?") -> str:
    """With the submodules that compute in lower precision: those in half precision, where there are any."""
    named = [f"{name} ({dtype})" for name, dtype in seen.lower.items() if dtype != "float32" or not _halves(seen)]
    if not named:
        return f"undetermined: {otherwise}"
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return f"undetermined: lower precision inside {', '.join(named[:3])}{more}"


def _rounding_multiple(known: Context, found: Found) -> list[Value]:
    if set(LOSING) & set(known.kinds[1:]):
        return [Value(None, reason="elements lose something")]
    above, below = float(found["means above"].sum()), float(found["means below"].mean())
    if (unknown := unknown_error(known, above, below)) is not None:
        return [unknown]
    if "single" not in known.controls:
        return [Value(None, reason=known.reasons.get("exactness") or "the control of exactness was not run")]
    limit = max(known.controls["single"], known.controls.get("error", 0.0))
    if limit > HIDDEN:
        return [Value(None, reason="rounding in float32 may hide whatever there is")]
    return [Value(math.sqrt(above / len(found["means above"]) / below) / limit, n=known.n)]


rounding_multiple = Folded(_rounding_multiple, (_errors,), ("deviation_sq", "unrelated_sq"))
"""E over the largest that rounding in float32, or repeating the pass, may come to; of each piece of a group too.

Below 1 the model respects these elements as far as float32 can tell, above :data:`MARGIN` it breaks them.
"""
MARGIN = 10.0
"""How far beyond rounding an error has to be to be no rounding."""


def _geometry(seen: Context, limit: float) -> str | None:
    """Whether the size of the image is to blame, and which sizes would be exact: of an E within the limit."""
    measured = next(iter(seen.sizes), None)
    exact = [size for size, error in seen.sizes.items() if error <= limit and size != measured]
    if not exact or measured is None:
        return None
    near = sorted(exact, key=lambda size: abs(size - measured))[:4]
    return f"broken by the image's size of {measured} px: exact at {', '.join(map(str, sorted(near)))} px"


def _deviations(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    deviation = np.sqrt(seen.deviation_sq[1:])
    return {**over_elements(deviation), "largest": Each(deviation.max(axis=0))}


def _absolute_error(known: Context, found: Found) -> list[Value]:
    overall = Value.of(Mean(found["means"], bounded=False))
    return [overall, *at_elements(known, found["sums"], "deviation_sq", np.sqrt, bounded=False)]


absolute_error = Folded(_absolute_error, (_deviations,), ("deviation_sq",))
"""Mean of ``|f(g.x) - g.f(x)|`` over i and k > 0, in the output's unit, then one for each element."""


def _absolute_error_max(known: Context, found: Found) -> list[Value]:
    return [Value(float(found["largest"].max()), n=known.n)]


absolute_error_max = Folded(_absolute_error_max, (_deviations,), ("deviation_sq",))
"""Largest deviation seen; a maximum has no interval."""
QUANTILE, KEPT, FEW = 0.95, 0.15, 100_000
"""Of the deviations so many of the largest are kept for the quantile and its limits; all of few."""


def _tail(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    count = seen.n * seen.moved
    most = count if count <= FEW else math.ceil(KEPT * count)
    return {"largest": Largest(np.sqrt(seen.deviation_sq[1:]), most), "count": Total(seen.moved * len(seen.samples))}


def _quantile(found: Found) -> Found:
    return {"quantile": np.asarray(upper_quantile_of(found["largest"], int(found["count"]), QUANTILE))}


def _below(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    return {"below": Each((np.sqrt(seen.deviation_sq[1:]) <= found["quantile"]).mean(axis=0))}


def _absolute_error_p95(known: Context, found: Found) -> list[Value]:
    del known
    return [Value.of(UpperQuantile(found["largest"], int(found["count"]), found["below"], QUANTILE))]


absolute_error_p95 = Folded(_absolute_error_p95, (_tail, _below), ("deviation_sq",), _quantile)
"""95th percentile of the deviation over i and k > 0."""
