"""The element loop: one part of a cell under every element, piece by piece and block by block."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from symbench.base.environment import sent
from symbench.base.errors import ModelError, Problem
from symbench.base.events import Advanced, Listener
from symbench.base.slices import slices
from symbench.measure.evaluate.finite import Finite
from symbench.measure.evaluate.forward import naming, run_model
from symbench.measure.evaluate.job import Job, exchanging, load_leaves
from symbench.measure.evaluate.moves import Block, Blocks, Moves
from symbench.measure.evaluate.part import Part
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.room import with_memory
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.evaluate.validity import Validity

Outputs = dict[str, Tensor]
ENOUGH = 1 << 18
"""Numbers of outputs that are compared at once, where one pass has fewer: 2 MB of them."""


@dataclass(frozen=True)
class Loop:
    """What the parts of a cell are measured with.

    A device is handed one forward pass after the other and is waited for once, when a part is written.

    Attributes:
        job: the cell.
        references: what the reference pass found of every output.
        order: the cell's samples.
        moves: of the leaves.
        keeping: which elements keep which labels.
        scratch: where parts go.
    """

    job: Job
    references: Sequence[Reference]
    order: Sequence[int]
    moves: Moves
    keeping: Validity
    scratch: Scratch

    @classmethod
    def of(cls, job: Job, references: Sequence[Reference], order: Sequence[int], scratch: Scratch) -> Loop:
        """With moves and rules that nobody has asked for yet."""
        return cls(job, references, order, Moves(job.prepared), Validity(job), scratch)

    def part(self, span: slice, listen: Listener) -> None:
        """Run one part under every element, and keep its columns and sums. The reference view is known already.

        Raises:
            ModelError: the model raised, or an output is not finite or has another shape.
        """
        with_memory(self.job, partial(self._part, span, _Steps(listen)))

    def _part(self, span: slice, steps: _Steps) -> None:
        began, job, samples = time.perf_counter(), self.job, self.order[span]
        steps.again()
        prepared, finite = job.prepared, Finite(job.model.name)
        elements = prepared.elements.at(samples)
        blocks = Blocks(elements, prepared.from_reference(elements), per_sample=prepared.elements.shared is None)
        blocks = replace(blocks, apart=exchanging(job))
        weights = prepared.elements.weights
        keeps = job.replica and span.start == 0
        parts = [Part(r, weights, span.start, samples, job.exact, finite, vectors=keeps) for r in self.references]
        together = max(1, job.batch // len(samples))  # elements in one pass, where a part is smaller than a batch
        for piece in slices(len(samples), job.batch):
            for views in self._piece(blocks, span.start, samples, piece, together, finite, steps):
                for part in parts:
                    views.into(part)
        finite.settle()
        for part in parts:
            part.save(self.scratch, span.start)
        outputs = [r.task.output for r in self.references]
        self.scratch.keep_part(outputs, span.start, time.perf_counter() - began)

    def _piece(
        self,
        blocks: Blocks,
        first: int,
        samples: Sequence[int],
        piece: slice,
        together: int,
        finite: Finite,
        steps: _Steps,
    ) -> Iterable[_Views]:
        """Some samples of a part, under the reference view and then under all others, some at a time."""
        job = self.job
        leaves, targets = load_leaves(job, samples[piece])
        raw = {r.task.output: r.rows(first + piece.start, first + piece.stop, job.exact) for r in self.references}
        everything = blocks.block(slice(0, len(blocks.elements)), piece)
        valid = {
            r.task.output: self._valid(r, everything, targets, piece.stop - piece.start) for r in self.references
        }
        there = {name: sent(target, job.exact) for name, target in targets.items()}
        yield _Views(blocks.block(slice(0, 1), piece), raw, raw, there, valid)

        def passes() -> Iterator[tuple[slice, Outputs]]:
            for block in blocks.all(piece, together):
                with naming(job, samples[piece]):
                    outputs = run_model(job, self.moves.of(block, leaves), finite=finite, kept=leaves)
                self._check(outputs, block.relative)
                yield block.place, outputs
                steps.on(len(block.elements) * (piece.stop - piece.start))

        for place, outputs in gathered(passes()):
            yield _Views(blocks.block(place, piece), outputs, raw, there, valid)

    def _check(self, outputs: Outputs, elements: Tensor) -> None:
        """Raises:
        ModelError: the shape of one is not that of the reference pass.
        """
        for reference in self.references:
            name = reference.task.output
            shape, wanted = tuple(outputs[name].shape[1:]), reference.shape_under(elements)
            if shape != wanted:
                got = f"output {name!r} has shape {shape} for moved inputs"
                raise ModelError(Problem(self.job.model.name, got, f"{wanted}, as for unmoved ones"))

    def _valid(self, reference: Reference, block: Block, targets: dict[str, Tensor], count: int) -> Tensor:
        task = reference.task
        whole = task.target_field is not None and not task.target_field.places
        labels = targets[task.target] if task.scores and task.target and whole else None
        return sent(torch.from_numpy(self.keeping.of(block.elements, labels, count)), self.job.exact)


@dataclass(frozen=True)
class _Views:
    """Outputs for a block, ``(k * n, ...)`` each, with all that they are measured against."""

    block: Block
    outputs: Outputs
    raw: Outputs
    targets: dict[str, Tensor]
    valid: dict[str, Tensor]

    def into(self, part: Part) -> None:
        """Hand one output over."""
        task = part.reference.task
        output, unmoved = self.outputs[task.output], self.raw[task.output]
        target = self.targets[task.target] if task.target else None
        views = output.unflatten(0, (len(self.block.elements), len(unmoved)))
        part.put(self.block, views, unmoved, target, self.valid[task.output][self.block.place])


def gathered(passes: Iterable[tuple[slice, Outputs]]) -> Iterator[tuple[slice, Outputs]]:
    """The outputs of some passes end to end, until there are enough of them: what is made of many costs as many calls
    as what is made of few.

    Args:
        passes: which elements, that follow one another, and their outputs, ``(k * n, ...)`` each.
    """
    first, kept = 0, list[Outputs]()
    for place, outputs in passes:
        if kept and any(kept[0][name].shape[1:] != x.shape[1:] for name, x in outputs.items()):
            yield slice(first, place.start), _joined(kept)
            kept = []
        first = first if kept else place.start
        kept.append(outputs)
        if sum(x.numel() for each in kept for x in each.values()) >= ENOUGH:
            yield slice(first, place.stop), _joined(kept)
            kept = []
    if kept:
        yield slice(first, place.stop), _joined(kept)


def _joined(kept: Sequence[Outputs]) -> Outputs:
    return kept[0] if len(kept) == 1 else {name: torch.cat([each[name] for each in kept]) for name in kept[0]}


class _Steps:
    """How far a part has come; one that is begun again is not counted twice."""

    def __init__(self, listen: Listener) -> None:
        self.listen = listen
        self.farthest = self.now = 0

    def again(self) -> None:
        """The part is begun anew."""
        self.now = 0

    def on(self, steps: int) -> None:
        """So many steps further."""
        self.now += steps
        if self.now > self.farthest:
            self.listen(Advanced(self.now - self.farthest))
            self.farthest = self.now
