"""How far outputs are from one another: what E is made of, summed in float64."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from symbench.algebra.fields import mask_of
from symbench.algebra.objects import Sets
from symbench.base.errors import ModelError, Problem


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
    that, outputs with a large common offset would cancel digits away. Of outputs that stand at places, A and B are
    their sums over a sample's places; of others they are the outputs themselves.

    Attributes:
        moved_sum: sum of A over samples, ``(k, d)``.
        moved_sq: ``|a|^2`` of each sample, over its places, ``(k, n)``.
        expected_sq: ``|b|^2`` likewise, ``(k, n)``.
        own_dot: ``A . B`` of each sample, ``(k, n)``; zero where it is not needed.
    """

    moved_sum: Tensor
    moved_sq: Tensor
    expected_sq: Tensor
    own_dot: Tensor


@dataclass(frozen=True)
class Totals:
    """What is summed up over all samples of a cell.

    Attributes:
        moved_sq: of :attr:`Sums.moved_sq`, ``(k,)``.
        counts: the places of each sample, ``(samples,)``, float64.
    """

    moved_sq: Tensor
    counts: Tensor


class Vectors(ABC):
    """Outputs are vectors, of which there are differences, means and products."""

    vectors: ClassVar[bool] = True

    @abstractmethod
    def deviation(self, moved: Tensor, expected: Tensor, samples: Sequence[int]) -> Tensor:
        """:func:`squared_distances`, of what counts."""

    @abstractmethod
    def counts(self, samples: Sequence[int]) -> Tensor:
        """How many places each sample has, ``(n,)``."""

    @abstractmethod
    def folded(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """``(k, n, *output)`` to one vector a sample, ``(k, n, d)``."""

    @abstractmethod
    def mean(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """Over the samples of ``(k, n, *output)``: ``(k, *output)``."""

    @abstractmethod
    def sums(self, moved: Tensor, expected: Tensor, mean: Tensor, samples: Sequence[int]) -> Sums:
        """Of one block: ``moved`` and ``expected`` ``(k, n, *output)``, ``mean`` of the latter ``(k, *output)``."""

    @abstractmethod
    def unrelated(self, sums: Sums, dot: Tensor, deviation_sq: Tensor, whole: Totals, own: Tensor) -> Tensor:
        """See :func:`unrelated`, with ``dot`` of the sum over the cell rather than the mean."""

    def square(self, values: Tensor) -> Tensor:
        """The squared length of each of ``(n, *output)``: what rounding is relative to, ``(n,)``."""
        return flat(values.double()[None])[0].square().sum(-1)

    def null(self, values: Tensor) -> float:
        """The mean squared distance between ``(n, *output)`` of different samples; 0 for a single one."""
        return float(2 * flat(values[None])[0].var(dim=0, correction=1).sum()) if len(values) > 1 else 0.0

    def among(self, moved: Tensor, expected: Tensor, samples: Sequence[int]) -> Tensor:
        """``unrelated_sq`` of samples that have no others than one another.

        Args:
            moved: ``f(g.x)``, ``(k, n, *output)``, float64.
            expected: ``g.f(x)``, likewise.
            samples: whose they are.

        Returns:
            ``(k, n)``; NaN for a single sample.
        """
        counts = self.counts(samples).to(moved.device)
        mean = self.mean(expected, samples)
        sums = self.sums(moved, expected, mean, samples)
        dot = torch.einsum("knd,kd->kn", self.folded(expected - mean[:, None], samples), sums.moved_sum)
        totals = Totals(sums.moved_sq.sum(1), counts)
        return self.unrelated(sums, dot, self.deviation(moved, expected, samples), totals, counts)


@dataclass(frozen=True)
class Whole(Vectors):
    """Outputs are compared as they are, with those of other samples: images, class scores, numbers."""

    def deviation(self, moved: Tensor, expected: Tensor, samples: Sequence[int]) -> Tensor:
        """:func:`squared_distances`."""
        del samples
        return squared_distances(moved, expected)

    def real_only(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """All of it."""
        del samples
        return x

    def share(self, samples: Sequence[int]) -> Tensor | None:
        """None: there is no padding."""
        del samples
        return None

    def counts(self, samples: Sequence[int]) -> Tensor:
        """How many places each sample has, ``(n,)``: one."""
        return torch.ones(len(samples), dtype=torch.float64)

    def folded(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """``(k, n, *output)`` to ``(k, n, d)``."""
        del samples
        return flat(x)

    def mean(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """Over the samples of ``(k, n, *output)``: ``(k, *output)``."""
        del samples
        return x.mean(1)

    def sums(self, moved: Tensor, expected: Tensor, mean: Tensor, samples: Sequence[int]) -> Sums:
        """Of one block: ``moved`` and ``expected`` ``(k, n, *output)``, ``mean`` of the latter ``(k, *output)``."""
        del samples
        centre = mean.double()[:, None]
        a, b = flat(moved.double() - centre), flat(expected.double() - centre)
        squares = b.square().sum(-1)
        return Sums(a.sum(1), a.square().sum(-1), squares, torch.zeros_like(squares))

    def unrelated(self, sums: Sums, dot: Tensor, deviation_sq: Tensor, whole: Totals, own: Tensor) -> Tensor:
        """See :func:`unrelated`, with ``dot`` of the sum over the cell rather than the mean."""
        del own
        return unrelated(sums, dot / len(whole.counts), deviation_sq, len(whole.counts))


@dataclass(frozen=True)
class PerPlace(Vectors):
    """Outputs at places of an axis are compared place by place, with places of other samples.

    Places of different samples do not correspond, and samples may have different numbers of them: so a place is
    unrelated to every place of every other sample alike.

    Attributes:
        shape: how many places there are along each axis, padding included.
        sizes: of each axis, how many are real in each sample of the dataset; None where all are.
    """

    shape: tuple[int, ...]
    sizes: tuple[Sequence[int] | None, ...]

    def real(self, samples: Sequence[int]) -> Tensor:
        """Which places are real, ``(n, places)``, bool: the first of each axis."""
        masks = []
        for width, sizes in zip(self.shape, self.sizes, strict=True):
            counts = torch.tensor([width if sizes is None else int(sizes[i]) for i in samples])
            masks.append(torch.arange(width) < counts[:, None])
        return outer(masks).flatten(1)

    def deviation(self, moved: Tensor, expected: Tensor, samples: Sequence[int]) -> Tensor:
        """:func:`squared_distances` over real places alone: what moves values may move the zeros of padding too."""
        return squared_distances(self.masked(moved, samples), self.masked(expected, samples))

    def real_only(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """``(k, n, *output)`` with zeros where a place is padding."""
        return self.masked(x, samples).reshape(x.shape)

    def share(self, samples: Sequence[int]) -> Tensor | None:
        """The share of the places of each sample that are no padding, ``(n,)``."""
        return self.counts(samples) / prod(self.shape)

    def counts(self, samples: Sequence[int]) -> Tensor:
        """How many places each sample has, ``(n,)``."""
        return self.real(samples).sum(1).double()

    def masked(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """``(k, n, *output)`` to ``(k, n, places, d)``, with zeros where a place is padding."""
        wide = x.reshape(*x.shape[:2], prod(self.shape), -1)
        return wide * self.real(samples).to(x.device)[None, :, :, None]

    def folded(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """``(k, n, *output)`` to the sums over a sample's places, ``(k, n, d)``."""
        return self.masked(x, samples).sum(2)

    def mean(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """Over the real places of all samples of ``(k, n, *output)``, the same at all places: ``(k, *output)``."""
        mean = self.folded(x, samples).sum(1) / self.counts(samples).sum().to(x.device)
        return mean[:, None].expand(-1, prod(self.shape), -1).reshape(len(x), *x.shape[2:])

    def sums(self, moved: Tensor, expected: Tensor, mean: Tensor, samples: Sequence[int]) -> Sums:
        """As :meth:`Whole.sums`; ``mean`` is the same at all places."""
        centre = mean.double()[:, None]
        a, b = self.masked(moved.double() - centre, samples), self.masked(expected.double() - centre, samples)
        own = (a.sum(2) * b.sum(2)).sum(-1)
        return Sums(a.sum((1, 2)), a.square().sum((2, 3)), b.square().sum((2, 3)), own)

    def unrelated(self, sums: Sums, dot: Tensor, deviation_sq: Tensor, whole: Totals, own: Tensor) -> Tensor:
        """What a sample's deviation would be, were its places paired with those of other samples at random.

        With m_i places in sample i and N in all, the mean squared distance of places of different samples is
        ``sum_i (m_i (Qa - Qa_i) + (N - m_i) Qb_i - 2 (B_i . A - A_i . B_i)) / (N^2 - sum m_i^2)``; each sample gets
        its own summand, times N. With one place each these add up to what :func:`unrelated` does.

        Args:
            sums: of some samples.
            dot: ``B_i . A`` with A the sum over all places of the cell; ``(k, n)``.
            deviation_sq: ``(k, n)``.
            whole: of the cell.
            own: how many places each of these samples has, ``(n,)``.
        """
        total = whole.counts.sum()
        pairs = total.square() - whole.counts.square().sum()
        if pairs <= 0:
            return torch.full_like(deviation_sq, torch.nan)
        summands = own * (whole.moved_sq[:, None] - sums.moved_sq) + (total - own) * sums.expected_sq
        return total / pairs * (summands - 2 * (dot - sums.own_dot))


Comparison = Whole | PerPlace | Sets


def outer(masks: Sequence[Tensor]) -> Tensor:
    """Masks ``(n, places)``, one for each axis, as one of all combinations, ``(n, *axes)``."""
    whole = masks[0]
    for mask in masks[1:]:
        whole = whole[..., None] & mask.view(len(mask), *(1,) * (whole.ndim - 1), -1)
    return whole


def real_places(values: Tensor, axes: Sequence[str], leaves: Mapping[str, Tensor]) -> Tensor | None:
    """Which places of ``(n, *axes, ...)`` are no padding, ``(n, *axes)``; None where no axis has a mask.

    Args:
        values: of an output, or a target.
        axes: the names of the axes that it stands along.
        leaves: of the same samples, the masks of axes among them.
    """
    known = [leaves.get(mask_of(axis)) for axis in axes]
    if all(mask is None for mask in known) or values.ndim <= len(axes):
        return None
    widths = values.shape[1 : 1 + len(axes)]
    masks = [
        torch.ones(len(values), width, dtype=torch.bool) if mask is None else mask
        for mask, width in zip(known, widths, strict=True)
    ]
    if any(mask.shape[1] != width for mask, width in zip(masks, widths, strict=True)):
        return None  # it does not stand along these axes, which whoever moves it refuses
    return outer([mask.to(values.device, torch.bool) for mask in masks])


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
