"""From a model's outputs to the columns of observations: tensors in, columns out. Errors are summed in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from symbench.errors import ModelError, Problem
from symbench.fields import Category, Field, Scalar


@dataclass(frozen=True)
class Task:
    """What an output is for: the target it is compared with, and how.

    Attributes:
        output: the output's name.
        field: its field.
        target: the target's name, or None where there are no labels.
        target_field: the target's field.
        classify: the output holds class scores.
        probabilities: deviations are measured on probabilities rather than on logits.
    """

    output: str
    field: Field
    target: str | None
    target_field: Field | None
    classify: bool
    probabilities: bool


def tasks(outputs: dict[str, Field], targets: dict[str, Field], *, probabilities: bool) -> list[Task]:
    """Pair every output with its target: by name, or the only one with the only one where their fields agree.

    An output without a target is taken for class scores where it is the only one, a scalar field, and nothing else
    is asked of the data, as with unlabelled images.
    """
    found = []
    for name, field in outputs.items():
        target = name if name in targets else None
        if target is None and len(outputs) == len(targets) == 1:
            only, wanted = next(iter(targets.items()))
            target = only if _agree(field, wanted) else None
        target_field = targets[target] if target else None
        alone = len(outputs) == 1 and not targets
        scores = isinstance(field, Scalar) and (isinstance(target_field, Category) or (alone and target is None))
        found.append(Task(name, field, target, target_field, scores, probabilities and scores))
    return found


def _agree(output: Field, target: Field) -> bool:
    return output == target or (isinstance(output, Scalar) and isinstance(target, Category))


def flat(x: Tensor) -> Tensor:
    """``(k, n, *output)`` to ``(k, n, d)``; single numbers get d = 1."""
    return x.reshape(*x.shape[:2], -1)


def compared(output: Tensor, task: Task) -> Tensor:
    """What deviations are measured on, float64: probabilities, mean-centred logits, or the output itself.

    Adding a constant to every logit changes no prediction, hence the centring.
    """
    exact = output.double()
    if task.probabilities:
        return exact.softmax(-1)
    return exact - exact.mean(-1, keepdim=True) if task.classify else exact


def squared_distances(moved: Tensor, expected: Tensor) -> Tensor:
    """How far ``f(g.x)`` is from ``g.f(x)``: the numerator of the equivariance error E.

    Args:
        moved: ``f(g_k.x_i)``, shape ``(k, n, *output)``, floating point.
        expected: ``g_k.f(x_i)``, same shape.

    Returns:
        ``|moved - expected|^2`` summed over the output, shape ``(k, n)``, float64. NaN where either is not finite.

    Raises:
        ModelError: the shapes differ.
    """
    if moved.shape != expected.shape:
        raise ModelError(
            Problem(
                "equivariance",
                f"f(g.x) has shape {tuple(moved.shape[1:])} and g.f(x) has {tuple(expected.shape[1:])}",
                "equal shapes",
                "Does the output's declared field fit the model's head?",
            )
        )
    return flat(moved.double() - expected.double()).square().sum(-1)


def classification_columns(logits: Tensor, labels: Tensor | None, reference_top: Tensor) -> dict[str, Tensor]:
    """Columns of a classification.

    Args:
        logits: ``(k, n, classes)``.
        labels: int64 ``(n,)``, or None.
        reference_top: the reference's top-1 class, int64 ``(n,)``.

    Returns:
        ``prediction`` int64; ``score`` (probability of the prediction) and ``confidence`` (probability of the
        reference's top-1 class), float64; with labels also ``correct``, ``loss`` (cross-entropy, nats) and
        ``target_probability``. Each ``(k, n)``.
    """
    logs = logits.double().log_softmax(-1)
    probabilities = logs.exp()
    top = probabilities.max(-1)
    k = len(logits)
    columns = {
        "prediction": logits.argmax(-1),
        "score": top.values,
        "confidence": probabilities.gather(-1, reference_top.expand(k, -1)[..., None])[..., 0],
    }
    if labels is not None:
        spread = labels.expand(k, -1)
        columns["correct"] = columns["prediction"] == spread
        columns["loss"] = cross_entropy(logs.flatten(0, 1), spread.flatten(), reduction="none").view(k, -1)
        columns["target_probability"] = probabilities.gather(-1, spread[..., None])[..., 0]
    return columns


def regression_columns(values: Tensor, targets: Tensor | None) -> dict[str, Tensor]:
    """Columns of anything else: ``loss`` (mean squared error over the output) and, for one number, ``score``.

    Args:
        values: ``(k, n, *output)``.
        targets: what each is to be, ``(k, n, *output)``, or None.
    """
    columns = {}
    numbers = flat(values.double())
    if numbers.shape[-1] == 1:
        columns["score"] = numbers[..., 0]
    if targets is not None:
        columns["loss"] = squared_distances(values, targets) / numbers.shape[-1]
    return columns


@dataclass
class Sums:
    """What the pairing of every sample with every other needs, kept per part and added up when the cell closes.

    a = f(g.x) and b = g.f(x) are measured from the mean of b over the whole cell, which is known beforehand. Without
    that, outputs with a large common offset would cancel digits away.

    Attributes:
        moved_sum: sum of a over samples, ``(k, d)``.
        moved_sq: ``|a_i|^2``, ``(k, n)``.
        expected_sq: ``|b_i|^2``, ``(k, n)``.
    """

    moved_sum: Tensor
    moved_sq: Tensor
    expected_sq: Tensor

    @classmethod
    def of(cls, moved: Tensor, expected: Tensor, expected_mean: Tensor) -> Sums:
        """Of one block: ``moved`` and ``expected`` ``(k, n, *output)``, ``expected_mean`` ``(k, *output)``."""
        mean = expected_mean.double()[:, None]
        a, b = flat(moved.double() - mean), flat(expected.double() - mean)
        return cls(a.sum(1), a.square().sum(-1), b.square().sum(-1))


def unrelated(sums: Sums, expected_dot: Tensor, deviation_sq: Tensor, count: int | None = None) -> Tensor:
    """The denominator of E for each sample: its mean squared distance to all *other* samples, both ways round.

    In general ``unrelated_i = (n (h_a(i) + h_b(i) - M) - |a_i - b_i|^2) / (n - 1)``, where b has mean 0: then
    ``h_a + h_b - M = |a_i|^2 + |b_i|^2 - 2 b_i . A``. The mean over i is the mean of ``|a_i - b_j|^2`` over all pairs
    with i != j, in O(n).

    Args:
        sums: of some samples.
        expected_dot: ``b_i . A`` with A the mean of a over the cell, both measured from the mean of b; ``(k, n)``.
        deviation_sq: ``|a_i - b_i|^2``, ``(k, n)``.
        count: samples in the whole cell; those given where it is None.

    Returns:
        ``(k, n)``, float64; NaN for a single sample, which has no other.
    """
    n = count or deviation_sq.shape[1]
    if n < 2:
        return torch.full_like(deviation_sq, torch.nan)
    return (n * (sums.moved_sq + sums.expected_sq - 2 * expected_dot) - deviation_sq) / (n - 1)
