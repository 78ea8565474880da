"""Class scores: logits or probabilities, and what both come to."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from symbench.measure.tasks.base import Columns, Form

LEAST_LOG = -100.0
"""Where logarithms of probabilities end, as in ``torch.nn.BCELoss``: a probability of 0 has a loss of 100 nats."""
SUMS_TO_ONE = 1e-3
"""How far from 1 a row of probabilities may sum: half precision inside a model leaves half of this."""


def tolerance(eps: float) -> float:
    """How far from 1 rows of probabilities may sum in numbers of this precision."""
    return max(SUMS_TO_ONE, 8 * eps)


def sum_to_one(outputs: Iterable[Tensor], eps: float) -> bool:
    """Whether all rows ``(n, classes)`` are 0 or more and sum to 1: what softmax leaves, and logits never are."""
    return all(_row_sums_to_one(piece.double(), tolerance(eps)) for piece in outputs)


def _row_sums_to_one(rows: Tensor, allowed: float) -> bool:
    if rows.ndim != 2 or rows.shape[1] < 2:
        return False
    return bool((rows >= 0).all() and ((rows.sum(1) - 1).abs() <= allowed).all())


def in_unit_interval(outputs: Iterable[Tensor]) -> bool:
    """Whether all numbers are in [0, 1], as after a sigmoid.

    Logits may be so too, of a model that has learnt nothing: 0 to 1 as logits say yes to every sample, with a
    probability between 0.5 and 0.73. One that has learnt something says no to some, with a logit below 0.
    """
    return all(bool(((piece >= 0) & (piece <= 1)).all()) for piece in outputs)


def log_of(probabilities: Tensor) -> Tensor:
    """The logarithm, float64, at least -100."""
    return probabilities.double().log().clamp(min=LEAST_LOG)


def log_classes(output: Tensor, form: Form) -> Tensor:
    """Log-probabilities of each class, float64, of scores ``(..., classes)``."""
    return log_of(output) if form == "probabilities" else output.double().log_softmax(-1)


def log_no_yes(output: Tensor, form: Form) -> tuple[Tensor, Tensor]:
    """Log-probabilities of no and of yes, float64, of scores of any shape, each of one question."""
    exact = output.double()
    if form == "probabilities":
        return torch.log1p(-exact).clamp(min=LEAST_LOG), log_of(exact)
    return logsigmoid(-exact), logsigmoid(exact)


def log_odds(output: Tensor, form: Form) -> Tensor:
    """``log p - log (1 - p)``, float64; logits as they are."""
    if form == "logits":
        return output.double()
    no, yes = log_no_yes(output, form)
    return yes - no


def class_columns(logs: Tensor, prediction: Tensor, before: Tensor, target: Tensor | None) -> Columns:
    """Columns of what predicts one class.

    Args:
        logs: log-probabilities ``(k, n, classes)``, float64.
        prediction: ``(k, n)``.
        before: the reference's prediction, ``(n,)``.
        target: ``(k, n)``, or None.

    Returns:
        ``prediction`` int64; ``score`` (probability of the prediction) and ``confidence`` (probability of the
        reference's), float64; with a target also ``target``, ``correct``, ``loss`` (cross-entropy, nats) and
        ``target_probability``. Each ``(k, n)``.
    """
    columns = {
        "prediction": prediction,
        "score": _at(logs, prediction).exp(),
        "confidence": _at(logs, before.expand(len(logs), -1)).exp(),
    }
    if target is not None:
        log = _at(logs, target)
        columns |= {"target": target, "correct": prediction == target, "loss": -log, "target_probability": log.exp()}
    return columns


def _at(logs: Tensor, index: Tensor) -> Tensor:
    return logs.gather(-1, index[..., None])[..., 0]


def likelier(values: Tensor, form: Form) -> Tensor:
    """1 where yes is likelier than no, int64."""
    return (values > (0.5 if form == "probabilities" else 0.0)).long()
