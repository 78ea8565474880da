"""Cell to observations: the only loop that runs a model for measuring.

The identity pass comes first and its outputs stay in a scratch file. Then part by part (1,024 samples of the
cell's order) and element by element; a part is written whole or not at all, so a killed run loses at most one.
When all parts are there, what needs the whole cell is filled in and ``cell.json`` closes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from symbench.base.code import foreign
from symbench.base.errors import CellError, Interrupted, ModelError, Problem
from symbench.base.events import Advanced, Finished, Listener, Started
from symbench.base.records import ProbeRecord
from symbench.base.slices import slices
from symbench.measure.evaluate.clock import Clock
from symbench.measure.evaluate.closing import close
from symbench.measure.evaluate.controls import run_controls
from symbench.measure.evaluate.job import DEFAULT_BATCH, Job, load_leaves, run_model, sample_order
from symbench.measure.evaluate.moves import Blocks, Moves
from symbench.measure.evaluate.part import Part
from symbench.measure.evaluate.probe import SAMPLES, probed, why_another
from symbench.measure.evaluate.reference import Reference, reference_pass
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.evaluate.validity import Validity
from symbench.measure.store import PART, Store

__all__ = ["DEFAULT_BATCH", "Job", "evaluate"]


def evaluate(job: Job, store: Store, *, listen: Listener, stopped: Callable[[], bool]) -> None:
    """Measure one cell, or finish what an earlier run began.

    Raises:
        ModelError: the model raised, or returned a wrong shape, NaN or infinity.
        DataError: a sample cannot be used.
        Interrupted: asked to stop; finished parts are kept.
    """
    order, clock = sample_order(job), Clock()
    scratch = Scratch(store.cell_folder(job.cell.key) / "scratch")
    probe = _begun(job, order, scratch)
    parts = [(first, min(first + PART, len(order))) for first in range(0, len(order), PART)]
    elements = len(job.prepared.elements)
    outputs = list(job.model.outputs)
    done = sum(scratch.has_part(outputs, first) for first, _ in parts)
    total = len(order) * elements
    listen(Started(str(job.cell.pair), total, "images"))
    try:
        brought = foreign(ModelError, str(job.cell.pair), "moving leaves or outputs")
        # no inference mode, which would forbid models to differentiate inside
        with brought if job.prepared.brought else nullcontext(), torch.no_grad():
            references = reference_pass(job, order, scratch, listen, stopped)
            with clock.controlling():
                controls = run_controls(job, references, order)
            moves, keeping = Moves(job.prepared), Validity(job)
            for first, last in parts:
                if scratch.has_part(outputs, first):
                    clock.earlier += scratch.part_seconds(first)
                    listen(Advanced((last - first) * (elements - 1)))
                    continue
                if stopped():
                    raise Interrupted(
                        Problem(
                            str(job.cell.pair),
                            f"stopped after {done} of {len(parts)} parts",
                            None,
                            "The same command resumes.",
                        )
                    )
                measure_part(job, references, order, slice(first, last), moves, keeping, scratch, listen)
                done += 1
            close(job, references, order, parts, controls, probe, scratch, store, clock)
    except torch.OutOfMemoryError as error:
        remedy = f"Use a --batch-size below {job.batch}."
        raise ModelError(Problem(str(job.cell.pair), "ran out of device memory", None, remedy)) from error
    finally:
        listen(Finished())


def _begun(job: Job, order: Sequence[int], scratch: Scratch) -> ProbeRecord | None:
    """The probe of the cell, which an earlier run may have begun; what another model has left is dropped.

    None where the model cannot be run on it: the passes over all samples say better why.
    """
    begun = scratch.begun_with()
    if begun is not None and begun[0] == job.checkpoint and why_another(job, begun[1]) is None:
        return begun[1]
    try:
        probe = probed(job, order[:SAMPLES])
    except CellError:
        probe = None
    scratch.begin(job.checkpoint, probe)
    return probe


def measure_part(
    job: Job,
    references: Sequence[Reference],
    order: Sequence[int],
    span: slice,
    moves: Moves,
    keeping: Validity,
    scratch: Scratch,
    listen: Listener,
) -> None:
    """Run one part under every element, and keep its columns and sums. The reference view is known already."""
    began, first, samples = time.perf_counter(), span.start, order[span]
    elements = job.prepared.elements.at(samples)
    blocks = Blocks(elements, job.prepared.from_reference(elements), per_sample=job.prepared.elements.shared is None)
    parts = [Part(reference, job.prepared.elements.weights, first, samples) for reference in references]
    together = max(1, job.batch // len(samples))  # elements in one forward pass, where a part is smaller than a batch
    for piece in slices(len(samples), job.batch):
        leaves, targets = load_leaves(job, samples[piece])
        raw = {r.task.output: r.rows(first + piece.start, first + piece.stop, job.exact) for r in references}
        shown = blocks.block(slice(0, len(elements)), piece).elements
        valid = [keeping.of(shown, _labels(p.reference, targets), piece.stop - piece.start) for p in parts]
        for block in (blocks.block(slice(0, 1), piece), *blocks.all(piece, together)):
            reference_view = block.place.start == 0
            outputs = raw if reference_view else run_model(job, moves.of(block, leaves))
            for part, kept in zip(parts, valid, strict=True):
                task = part.reference.task
                output, unmoved = outputs[task.output], raw[task.output]
                check_shape(job, part.reference, output)
                target = targets[task.target] if task.target else None
                views = output.unflatten(0, (len(block.elements), len(unmoved)))
                part.put(block, views, unmoved, target, kept[block.place])
            if not reference_view:
                listen(Advanced(len(block.elements) * (piece.stop - piece.start)))
    for part in parts:
        part.save(scratch, first)
    scratch.keep_part([r.task.output for r in references], first, time.perf_counter() - began)


def _labels(reference: Reference, targets: dict[str, Tensor]) -> Tensor | None:
    task = reference.task
    return targets[task.target] if task.scores and task.target else None


def check_shape(job: Job, reference: Reference, output: Tensor) -> None:
    """Refuse an output whose shape is not that of the identity pass."""
    if tuple(output.shape[1:]) != reference.shape:
        got = f"output {reference.task.output!r} has shape {tuple(output.shape[1:])} for moved inputs"
        raise ModelError(Problem(job.model.name, got, f"{reference.shape}, as for unmoved ones"))
