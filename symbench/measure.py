"""How far outputs are from one another: what E is made of, summed in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symbench.errors import ModelError, Problem


def flat(x: Tensor) -> Tensor:
    """``(k, n, *output)`` to ``(k, n, d)``; single numbers get d = 1."""
    return x.reshape(*x.shape[:2], -1)


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
