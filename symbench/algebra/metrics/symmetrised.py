"""What averaging over the orbit at test time buys, and the identity by which its parts add up.

With P f the mean of a model's outputs over the orbit, each moved back, and a target that moves as outputs do, the
mean squared loss over the orbit is that of P f plus the orbit's variance, sample by sample: P f gains the variance.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symbench.algebra.metrics.accuracy import mean_of_some, orbit_means
from symbench.algebra.metrics.base import NO_LABELS, Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece, Total
from symbench.algebra.metrics.loss import NO_TARGETS
from symbench.algebra.statistics import Array

NOT_AVERAGED = Value(
    None, reason="averages are over all elements of a cell, of outputs that lose nothing when they are moved back"
)
NO_SQUARES = Value(None, reason="the loss is none of squares")
ROUNDING = 1e-5
"""Of a sample's loss, what its parts may miss it by: baselines keep them in single precision."""


def _losses(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """Of each sample the mean loss over the orbit and the loss of the mean output, and whether its label holds."""
    del found
    if seen.loss is None:
        return NO_TARGETS
    if seen.loss_of_average is None or np.isnan(seen.loss_of_average).any():
        return NOT_AVERAGED
    means, some = orbit_means(seen, seen.loss)
    return {"over the orbit": Each(means), "averaged": Each(seen.loss_of_average), "some": Each(some)}


def _averaged_loss(known: Context, found: Found) -> list[Value]:
    del known
    return [mean_of_some(found["averaged"], found["some"], bounded=False)]


averaged_loss = Folded(_averaged_loss, (_losses,), ("loss", "valid"))
"""Mean loss of the output averaged over the orbit, of class scores of the mean probabilities (or logits)."""


def _gain(known: Context, found: Found) -> list[Value]:
    del known
    return [mean_of_some(found["over the orbit"] - found["averaged"], found["some"], bounded=False)]


symmetrisation_gain = Folded(_gain, (_losses,), ("loss", "valid"))
"""``orbit_loss - averaged_loss``, paired by samples: what averaging buys. Never below 0, since losses are convex."""


def _more_right(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """How much more each sample's mean output is right than its views are on average, and whether its label holds."""
    del found
    if seen.correct is None:
        return NO_LABELS
    if seen.averaged is None or seen.target is None:
        return NOT_AVERAGED
    means, some = orbit_means(seen, seen.correct)
    return {"more": Each((seen.averaged == seen.target[0]) - means), "some": Each(some)}


def _accuracy_gain(known: Context, found: Found) -> list[Value]:
    del known
    return [mean_of_some(found["more"], found["some"], bounded=False)]


symmetrisation_accuracy_gain = Folded(_accuracy_gain, (_more_right,), ("correct", "target", "valid"))
"""``averaged_accuracy - orbit_accuracy``, paired by samples: below 0 where averaging does harm."""


def _residuals(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """What each sample's loss over the orbit and its two parts differ by, and on how many that is no rounding."""
    losses = _losses(seen, found)
    if isinstance(losses, Value):
        return losses
    if seen.orbit_variance is None or seen.loss is None or seen.loss_of_average is None:
        return NO_SQUARES
    means, _ = orbit_means(seen, seen.loss)
    residual: Array = np.abs(means - seen.loss_of_average - seen.orbit_variance)
    size = means + np.abs(seen.loss_of_average) + np.abs(seen.orbit_variance)
    beyond = residual > ROUNDING * size + seen.null_limit_sq
    return {"residual": Each(residual), "loss": Total(means.sum()), "beyond": Total(beyond.sum())}


def _residual(known: Context, found: Found) -> list[Value]:
    total, beyond = float(found["loss"]), int(found["beyond"])
    share = float(found["residual"].sum()) / total if total else 0.0
    return [Value(share, n=known.n, reason=_broken(beyond, known.n) if beyond else None)]


def _broken(beyond: int, n: int) -> str:
    return (
        f"on {beyond} of {n} samples the loss over the orbit is not that of the averaged output plus the orbit's "
        "variance: targets move otherwise than outputs, or lengths change when they move"
    )


symmetrisation_residual = Folded(_residual, (_residuals,), ("loss", "valid"))
"""``sum_i |orbit_loss_i - averaged_loss_i - variance_i| / sum_i orbit_loss_i``: 0 to rounding, whatever the model.

The loss over the orbit is measured where the views are, against targets that are moved along; the other two where the
unmoved sample is, with outputs moved back. They disagree where targets are moved otherwise than outputs, or where
moving changes lengths; the reason then says on how many samples. Classes are not checked so: both sides would be made
from the same scores. Nothing is checked where outputs are resampled, which changes lengths.
"""
