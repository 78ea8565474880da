"""What a model does instead of what is declared of it: the controls that explain, as numbers with their words."""

from __future__ import annotations

from symbench.algebra.controls import DECLARED, FIXED
from symbench.algebra.metrics.attribution import ROUNDING
from symbench.algebra.metrics.base import Context, Value
from symbench.algebra.statistics import Ratio


def other_action_error(seen: Context) -> list[Value]:
    """E of the action that fits best, on the control samples, of an output that the declared one does not fit.

    The reason says which it is, where one is beyond doubt; else the number is that of the declared one.
    """
    if DECLARED not in seen.findings:
        return [Value(None, reason=seen.reasons.get(DECLARED, "the control did not run"))]
    (found,) = seen.findings[DECLARED]
    error = found.numbers[found.best or "declared"]
    return [Value(error, found.samples, reason=found.words or "no other action fits either", k=found.elements)]


def fixed_point_error(seen: Context) -> list[Value]:
    """How far outputs at symmetric inputs are from symmetric: ``|h.f(P x) - f(P x)|`` as E, over a finite subgroup.

    Its null is the distance to other samples' outputs, as they are or at symmetric inputs, whichever is larger.
    """
    if not seen.fixed or FIXED not in seen.findings:
        return [Value(None, reason=seen.reasons.get(FIXED, "the control did not run"))]
    if not seen.fixed["unrelated"].mean() > seen.null_limit_sq:
        return [Value(None, reason=ROUNDING)]
    found = Value.of(Ratio(seen.fixed["deviation"], seen.fixed["unrelated"], root=True))
    elements = seen.findings[FIXED][0].elements
    tells = f"one pass of each sample tests {elements} elements"
    return [Value(found.estimate, found.n, reason=tells, k=elements, sampled=found.sampled)]
