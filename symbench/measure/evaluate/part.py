"""One part under measurement: outputs go in block by block, columns and sums come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.comparison import Sums, flat
from symbench.base.errors import ModelError, Problem
from symbench.measure.evaluate.moves import Block
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.tasks import Views


class Part:
    """What is kept of one output for one part: columns ``(elements, n)``, sums, and the mean over the orbit."""

    def __init__(self, reference: Reference, weights: Tensor, first: int, samples: Sequence[int]) -> None:
        self.reference = reference
        self.samples = samples
        self.first = first
        self.weights = weights.numpy()[:, None]  # (elements, 1)
        self.shape = (len(weights), len(samples))
        self.columns: dict[str, np.ndarray] = {}
        self.sums: dict[str, np.ndarray] = {}
        self.orbit_mean: np.ndarray | None = None

    def put(self, block: Block, output: Tensor, raw: Tensor, target: Tensor | None, valid: np.ndarray) -> None:
        """Take in the outputs of a block.

        Args:
            block: which.
            output: ``f(g.x)``, ``(k, n, *output)``.
            raw: ``f(x)``, ``(n, *output)``.
            target: what the output is to be, ``(n, ...)``, or None.
            valid: whether labels still hold, ``(k, n)``.

        Raises:
            ModelError: a square overflows.
        """
        reference, task = self.reference, self.reference.task
        moved, expected, mean = reference.pair(block.relative, output, raw)
        deviation_sq = reference.comparison.deviation(moved, expected, self.samples[block.samples])
        if not torch.isfinite(deviation_sq).all():
            got = f"output {task.output!r} is so large that its square overflows"
            raise ModelError(Problem("deviation", got, "outputs below 1e150"))
        self._column("deviation_sq", block, deviation_sq.cpu().numpy())
        ordered = reference.in_own_order(block.elements, output)
        for name, values in task.columns(self._views(block, ordered, raw, target)).items():
            self._column(name, block, values.cpu().numpy())
        self._column("valid", block, valid)
        self._sums(block, reference.comparison.sums(moved, expected, mean, self.samples[block.samples]))
        if task.scores:
            self._average(block, moved if ordered is output else task.compared(ordered), valid)

    def save(self, scratch: Scratch, first: int) -> None:
        """Write what was taken in."""
        name = self.reference.task.output
        averaged = (
            None if self.orbit_mean is None else self.reference.task.averaged(torch.from_numpy(self.orbit_mean))
        )
        if averaged is not None:
            self.sums["averaged_prediction"] = averaged.numpy()
        scratch.save(scratch.columns(name, first), **self.columns)
        scratch.save(scratch.pairing(name, first), **self.sums)

    def _views(self, block: Block, output: Tensor, raw: Tensor, target: Tensor | None) -> Views:
        """The block's outputs, with their targets moved along; of embeddings, with those that they look among."""
        action, task = self.reference.target_action, self.reference.task
        comparison, samples, wanted = self.reference.comparison, self.samples[block.samples], None
        if target is not None and action is not None:
            exact = target.double() if target.is_floating_point() else target
            wanted = comparison.real_only(action.act(block.elements, exact), samples)
        if not task.looks_around:
            real = comparison.share(samples)
            return Views(output, raw, wanted, real=None if real is None else real.to(output.device))
        own = torch.arange(block.samples.start, block.samples.stop, device=output.device) + self.first
        return Views(output, raw, wanted, self.reference.others.to(output.device), own)

    def _column(self, name: str, block: Block, values: np.ndarray) -> None:
        column = self.columns.setdefault(name, np.zeros((*self.shape, *values.shape[2:]), dtype=values.dtype))
        column[block.place, block.samples] = values

    def _sums(self, block: Block, sums: Sums) -> None:
        for field in fields(sums):
            found = getattr(sums, field.name).cpu().numpy()
            if field.name.endswith("_sum"):
                kept = self.sums.setdefault(field.name, np.zeros((self.shape[0], found.shape[1])))
                kept[block.place] += found
            else:
                self.sums.setdefault(field.name, np.zeros(self.shape))[block.place, block.samples] = found

    def _average(self, block: Block, outputs: Tensor, valid: np.ndarray) -> None:
        """Add to the orbit's mean output: what averaging over the group at test time would answer."""
        weights = torch.from_numpy(self.weights[block.place] * valid).to(outputs)
        weighted = torch.einsum("kn,knc->nc", weights, flat(outputs)).cpu().numpy()
        if self.orbit_mean is None:
            self.orbit_mean = np.zeros((self.shape[1], weighted.shape[1]))
        self.orbit_mean[block.samples] += weighted
