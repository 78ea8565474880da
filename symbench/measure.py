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
    """Pair every output with its target: by name, or the only one with the only one.

    An output without a target is taken for class scores where it is one scalar field, as unlabelled images have.
    """
    found = []
    for name, field in outputs.items():
        target = name if name in targets else None
        if target is None and len(outputs) == len(targets) == 1:
            target = next(iter(targets))
        target_field = targets[target] if target else None
        scores = isinstance(field, Scalar) and (target_field is None or isinstance(target_field, Category))
        found.append(Task(name, field, target, target_field, scores, probabilities and scores))
    return found


def compared(output: Tensor, task: Task) -> Tensor:
    """What deviations are measured on, float64: probabilities, mean-centred logits, or the output itself.

    Adding a constant to every logit changes no prediction, hence the centring.
    """
    exact = output.double()
    if task.probabilities:
        return exact.softmax(-1)
    return exact - exact.mean(-1, keepdim=True) if task.classify else exact


def squared_distances(moved: Tensor, expected: Tensor) -> Tensor:
    """How far ``f(g.x)`` is from ``g.f(x)``: the numerator of E, MEASURE.md "Equivariance error".

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
    return (moved.double() - expected.double()).flatten(2).square().sum(-1)


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
    flat = values.double().flatten(2)
    if flat.shape[-1] == 1:
        columns["score"] = flat[..., 0]
    if targets is not None:
        columns["loss"] = squared_distances(values, targets) / flat.shape[-1]
    return columns


@dataclass
class Sums:
    """What the pairing of every sample with every other needs, kept per part and added up when the cell closes.

    Attributes:
        moved_sum: sum over samples of a = f(g.x), ``(k, d)``.
        expected_sum: sum over samples of b = g.f(x), ``(k, d)``.
        moved_sq: ``|a_i|^2``, ``(k, n)``.
        expected_sq: ``|b_i|^2``, ``(k, n)``.
        moved_dot: ``a_i . B`` with B the mean of b over the whole cell, ``(k, n)``.
    """

    moved_sum: Tensor
    expected_sum: Tensor
    moved_sq: Tensor
    expected_sq: Tensor
    moved_dot: Tensor

    @classmethod
    def of(cls, moved: Tensor, expected: Tensor, expected_mean: Tensor) -> Sums:
        """Of one block: ``moved`` and ``expected`` ``(k, n, *output)``, ``expected_mean`` ``(k, *output)``."""
        a, b = moved.double().flatten(2), expected.double().flatten(2)
        mean = expected_mean.double().flatten(1)
        dot = torch.einsum("knd,kd->kn", a, mean)
        return cls(a.sum(1), b.sum(1), a.square().sum(-1), b.square().sum(-1), dot)


def unrelated(sums: Sums, expected_dot: Tensor, deviation_sq: Tensor) -> Tensor:
    """The denominator of E for each sample: its mean squared distance to all *other* samples, both ways round.

    ``unrelated_i = (n (h_a(i) + h_b(i) - M) - |a_i - b_i|^2) / (n - 1)``, MEASURE.md "Equivariance error"; the
    mean over i is the mean of ``|a_i - b_j|^2`` over all pairs with i != j, in O(n).

    Args:
        sums: over the whole cell, n samples.
        expected_dot: ``b_i . A`` with A the mean of a, ``(k, n)``.
        deviation_sq: ``|a_i - b_i|^2``, ``(k, n)``.

    Returns:
        ``(k, n)``, float64; NaN for a single sample, which has no other.
    """
    n = deviation_sq.shape[1]
    if n < 2:
        return torch.full_like(deviation_sq, torch.nan)
    mean_a = sums.moved_sum / n
    mean_b = sums.expected_sum / n
    square_a = sums.moved_sq.mean(1, keepdim=True)
    square_b = sums.expected_sq.mean(1, keepdim=True)
    both = square_a + square_b - 2 * (mean_a * mean_b).sum(-1, keepdim=True)
    from_a = sums.moved_sq - 2 * sums.moved_dot + square_b
    from_b = sums.expected_sq - 2 * expected_dot + square_a
    return (n * (from_a + from_b - both) - deviation_sq) / (n - 1)
