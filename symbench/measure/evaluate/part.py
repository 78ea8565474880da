"""One part under measurement: outputs go in block by block, columns and sums come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action
from symbench.algebra.comparison import Sums
from symbench.algebra.objects import Sets
from symbench.base.environment import sent
from symbench.measure.evaluate.finite import Finite
from symbench.measure.evaluate.moves import Block
from symbench.measure.evaluate.orbits import Orbits
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.tasks import Views

DEVIATIONS = "deviations"
"""The name under which deviations themselves are kept, where a part keeps them."""
MOST_NUMBERS = 4_000_000
"""Numbers of deviations that a cell keeps: 16 MB."""


class Part:
    """What is kept of one output for one part: columns ``(elements, n)``, sums, and what orbits average to.

    All of it stays where outputs are compared until it is saved: no device is waited for in between.
    """

    def __init__(
        self,
        reference: Reference,
        weights: Tensor,
        first: int,
        samples: Sequence[int],
        device: str,
        finite: Finite,
        *,
        vectors: bool = False,
    ) -> None:
        self.reference = reference
        self.samples = samples
        self.first = first
        self.finite = finite
        self.weights = sent(weights[:, None], device)  # (elements, 1)
        self.shape = (len(weights), len(samples))
        self.columns: dict[str, Tensor] = {}
        self.sums: dict[str, Tensor] = {}
        self.orbits = Orbits(reference, self.weights, samples)
        self.vectors = vectors
        self.deviations: Tensor | None = None

    def put(self, block: Block, output: Tensor, raw: Tensor, target: Tensor | None, valid: Tensor) -> None:
        """Take in the outputs of a block.

        Args:
            block: which.
            output: ``f(g.x)``, ``(k, n, *output)``.
            raw: ``f(x)``, ``(n, *output)``.
            target: what the output is to be, ``(n, ...)``, or None.
            valid: whether labels still hold, ``(k, n)``.
        """
        reference, task = self.reference, self.reference.task
        moved, expected, mean = reference.pair(block.relative, output, raw, block.place)
        deviation_sq = reference.comparison.deviation(moved, expected, self.samples[block.samples])
        self.finite.square(task.output, deviation_sq)
        self._column("deviation_sq", block, deviation_sq)
        if reference.by_place is not None:
            for name, values in reference.by_place.columns(moved, expected, self.samples[block.samples]).items():
                self._column(name, block, values)
        if reference.rim is not None:
            inside = reference.inside(block.relative, block.place)
            for name, values in reference.rim.columns(moved, expected, inside).items():
                self._column(name, block, values)
        if self.vectors and reference.comparison.vectors:
            self._deviate(block, reference.comparison.real_only(moved - expected, self.samples[block.samples]))
        ordered = reference.in_own_order(block.elements, output)
        views = self._views(block, ordered, raw, target)
        columns = task.columns(views)
        for name, values in columns.items():
            self._column(name, block, values)
        if "place_right" in columns:
            valid = valid & ~columns["place_right"].isnan()  # no place is labelled
        self._column("valid", block, valid)
        moved_target = None if target is None else reference.moved_target(block.elements, target)
        if target is not None and moved_target is not None:
            self._column("moved_target", block, moved_target)
            renamed = unrenamed(task.predicted(task.compared(output)), target, moved_target)
            self._column("place_swapped", block, renamed)
        if isinstance(reference.comparison, Sets):
            for name, values in self._of_sets(reference.comparison, block, output, moved, expected).items():
                self._column(name, block, values)
            return  # neither pairs of all samples nor an orbit can be had from sums
        self._sums(block, reference.comparison.sums(moved, expected, mean, self.samples[block.samples]))
        if task.scores or views.target is not None:
            self.orbits.put(block, moved, task.compared(raw), views, valid)

    def save(self, scratch: Scratch, first: int) -> None:
        """Write what was taken in."""
        name = self.reference.task.output
        if self.deviations is not None:
            self.sums[DEVIATIONS] = self.deviations
        sums = self.sums | self.orbits.columns
        for path, kept in ((scratch.columns(name, first), self.columns), (scratch.pairing(name, first), sums)):
            scratch.save(path, **{column: values.cpu().numpy() for column, values in kept.items()})

    def _views(self, block: Block, output: Tensor, raw: Tensor, target: Tensor | None) -> Views:
        """The block's outputs, with their targets moved along; of embeddings, with those that they look among."""
        action, task = self.reference.target_action, self.reference.task
        comparison, samples, wanted = self.reference.comparison, self.samples[block.samples], None
        if target is not None and action is not None:
            exact = target.double() if target.is_floating_point() else target
            wanted = comparison.real_only(seen_of(action, block.elements, exact), samples)
        if not task.looks_around:
            real = comparison.share(samples)
            real = None if real is None else real.to(output.device)
            return Views(output, raw, wanted, real=real, unmoved_target=target, **self._along(block, raw, target))
        own = torch.arange(block.samples.start, block.samples.stop, device=output.device) + self.first
        return Views(output, raw, wanted, self.reference.others(output.device), own)

    def _along(self, block: Block, raw: Tensor, target: Tensor | None) -> dict[str, Tensor]:
        """What maps of classes are held against besides: the unmoved prediction, and the target under old names."""
        names, unrenamed = self.reference.names, self.reference.unrenamed
        found = {}
        before = self.reference.task.predicted(raw)
        if names is not None and before is not None:
            found["kept"] = names.act(block.relative, before)
        if unrenamed is not None and target is not None:
            found["unrenamed"] = seen_of(unrenamed, block.elements, target)
        return found

    def _of_sets(
        self, comparison: Sets, block: Block, output: Tensor, moved: Tensor, expected: Tensor
    ) -> dict[str, Tensor]:
        """What is measured on the spot of outputs that have no sums, against the samples before and behind."""
        first, last = self.first + block.samples.start, self.first + block.samples.stop
        around = self.reference.around(first, last, str(output.device))
        others = [self.reference.pair(block.relative, output, each, block.place)[1] for each in around]
        alone = moved.new_full(moved.shape[:2], torch.nan)
        unrelated = comparison.beside(moved, others) if self.reference.count > 1 else alone
        return {"unrelated_sq": unrelated, **comparison.columns(moved, expected)}

    def _column(self, name: str, block: Block, values: Tensor) -> None:
        if name not in self.columns:
            self.columns[name] = values.new_zeros((*self.shape, *values.shape[2:]))
        self.columns[name][block.place, block.samples] = values

    def _sums(self, block: Block, sums: Sums) -> None:
        for field in fields(sums):
            found = getattr(sums, field.name)
            whole = field.name.endswith("_sum")
            if field.name not in self.sums:
                self.sums[field.name] = found.new_zeros((self.shape[0], found.shape[1]) if whole else self.shape)
            if whole:
                self.sums[field.name][block.place] += found
            else:
                self.sums[field.name][block.place, block.samples] = found

    def _deviate(self, block: Block, deviation: Tensor) -> None:
        """Keep ``f(g.x) - g.f(x)`` of the first samples itself, as many as there is room for."""
        flat = deviation.flatten(2).float()  # (k, n, d)
        if self.deviations is None:
            most = min(self.shape[1], MOST_NUMBERS // (self.shape[0] * flat.shape[2]))
            self.deviations = flat.new_zeros((self.shape[0], most, flat.shape[2]))
        there = slice(block.samples.start, min(block.samples.stop, self.deviations.shape[1]))
        if there.start < there.stop:
            self.deviations[block.place, there] = flat[:, : there.stop - there.start]


def seen_of(action: Action, g: Tensor, target: Tensor) -> Tensor:
    """A target ``(n, ...)`` moved, as far as the model is shown what it is about, ``(k, n, ...)``."""
    moved = action.act(g, target)
    return action.cropped(moved.flatten(0, 1)).unflatten(0, moved.shape[:2])


def unrenamed(prediction: Tensor | None, target: Tensor, moved: Tensor) -> Tensor:
    """1 where a moved sample is taken for what it was before, ``(k, n)``, float64; NaN where its class is the same.

    Args:
        prediction: of the moved samples, in their own order, ``(k, n)``; None where none is made.
        target: classes of the samples as they are, ``(n,)``.
        moved: of the moved ones, ``(k, n)``.
    """
    nothing = torch.full(moved.shape, torch.nan, dtype=torch.float64, device=moved.device)
    if prediction is None:
        return nothing
    return torch.where(moved == target, nothing, (prediction == target).double())
