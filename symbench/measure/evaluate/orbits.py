"""What a model averaged over the orbit would answer: its predictions, its loss, and how views vary about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symbench.algebra.actions.base import SHARP, TrivialAction
from symbench.algebra.comparison import flat
from symbench.base.columns import AVERAGED
from symbench.measure.evaluate.moves import Block
from symbench.measure.evaluate.reference import Reference
from symbench.measure.tasks import Views

PREDICTION, LOSS, VARIANCE, CONSENSUS = AVERAGED


@dataclass
class _Sums:
    """Weighted sums over the elements of some samples' orbits, measured from the reference view's outputs.

    Measured so, an exact model's are rounding, and the variance of an orbit loses no digits to a large mean.
    """

    first: Views
    weight: Tensor  # (n,)
    offset: Tensor  # (n, *output)
    squares: Tensor  # (n,)
    predicted: list[
        tuple[Tensor, Tensor]
    ]  # by block: weights (k, n), and classes (k, n, ...) with outputs moved back


class Orbits:
    """Of one output of one part, what the mean over each sample's orbit comes to, with outputs moved back.

    All elements of some samples come before those of other samples, so that sums are held of these alone.

    Args:
        reference: the output.
        weights: of the elements, ``(elements, 1)``, where outputs are compared.
        samples: of the part.
    """

    def __init__(self, reference: Reference, weights: Tensor, samples: Sequence[int]) -> None:
        self.reference, self.weights, self.samples = reference, weights, samples
        self.columns: dict[str, Tensor] = {}
        self.sums: _Sums | None = None

    def put(self, block: Block, moved: Tensor, raw: Tensor, views: Views, valid: Tensor) -> None:
        """Take in the outputs of a block; that of the reference view comes first.

        Args:
            block: which.
            moved: ``f(g.x)`` as compared and paired, ``(k, n, *output)``.
            raw: ``f(x)`` as compared, ``(n, *output)``.
            views: the outputs as the model gave them, with their targets.
            valid: whether labels still hold, ``(k, n)``.
        """
        if self.sums is None:
            nothing = raw.new_zeros(len(raw))
            self.sums = _Sums(views, nothing, torch.zeros_like(raw), nothing.clone(), [])
        back = self._back(block, moved)
        offset = self.reference.comparison.real_only(back - raw, self.samples[block.samples])
        weights = (self.weights[block.place] * valid).to(offset)  # (k, n)
        self.sums.weight += weights.sum(0)
        self.sums.offset += torch.einsum("kn,knd->nd", weights, flat(offset)).view_as(raw)
        squares = self.reference.task.squares(offset, views.real)
        if squares is not None:
            self.sums.squares += (weights * squares).sum(0)
        if not back.isnan().all():  # views that cannot be moved back have no part in a consensus
            predicted = self.reference.task.predicted(back)
            if predicted is not None:
                self.sums.predicted.append((weights, in_bytes(predicted)))
        if block.place.stop == len(self.weights):
            self._close(block.samples, raw, self.sums)
            self.sums = None

    def _back(self, block: Block, moved: Tensor) -> Tensor:
        """``g^-1.f(g.x)``; NaN where moving back would lose something, for then it is no orbit's mean."""
        action, g = self.reference.action, block.relative
        if isinstance(action, TrivialAction):
            return moved
        if not set(action.kinds(g.flatten(0, g.ndim - 1 - self.reference.prepared.group.element_ndim))) <= set(SHARP):
            return torch.full_like(moved, torch.nan)
        return moved if self.reference.in_place else self.reference.moved_back(g, moved)

    def _close(self, some: slice, raw: Tensor, sums: _Sums) -> None:
        """The columns of samples whose elements are all there."""
        task, first = self.reference.task, sums.first
        weight = sums.weight.clamp(min=torch.finfo(raw.dtype).tiny)  # 0 where the label holds nowhere
        offset = sums.offset / weight.view(-1, *(1,) * (raw.ndim - 1))
        mean = raw + offset
        self._column(PREDICTION, some, task.averaged(mean))
        self._column(CONSENSUS, some, _agreement(sums.predicted, task.predicted(mean), mean))
        if first.target is None:
            return
        self._column(LOSS, some, task.loss_of(mean[None], first.target[:1], first.real))
        of_mean = task.squares(offset[None], first.real)
        self._column(VARIANCE, some, None if of_mean is None else sums.squares / weight - of_mean[0])

    def _column(self, name: str, some: slice, values: Tensor | None) -> None:
        if values is None:
            return
        if name not in self.columns:
            self.columns[name] = values.new_zeros(len(self.samples))
        self.columns[name][some] = values


def in_bytes(classes: Tensor) -> Tensor:
    """Classes in one byte each where they fit: those of all places of all elements are kept."""
    return classes.to(torch.uint8) if classes.numel() and int(classes.max()) < 256 else classes


def _agreement(views: Sequence[tuple[Tensor, Tensor]], consensus: Tensor | None, mean: Tensor) -> Tensor | None:
    """How far the predictions of an orbit are that of its mean, ``(n,)``: a mean over elements, and over places.

    Where nobody knows what is right, what most views say stands in for it. NaN where there is no such mean.
    """
    if consensus is None or not views:
        return None
    total = sum(weights.sum(0) for weights, _ in views)
    same = sum((weights * _share(predicted == consensus)).sum(0) for weights, predicted in views)
    return torch.where(mean.isfinite().reshape(len(mean), -1).all(1), same / total, torch.nan)  # no element: 0 / 0


def _share(same: Tensor) -> Tensor:
    """Over places, ``(k, n)``."""
    return same.double().flatten(2).mean(2) if same.ndim > 2 else same.double()
