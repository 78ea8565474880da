"""Cell to observations: the only loop that runs a model for measuring.

The identity pass comes first and its outputs stay in a scratch file. Then part by part (1,024 samples of the
cell's order) and element by element; a part is written whole or not at all, so a killed run loses at most one.
When all parts are there, what needs the whole cell is filled in and ``cell.json`` closes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symbench.errors import Interrupted, ModelError, Problem
from symbench.evaluate.closing import close
from symbench.evaluate.job import DEFAULT_BATCH, Job, load_leaves, pieces, run_model, sample_order
from symbench.evaluate.reference import Reference, reference_pass
from symbench.evaluate.scratch import PartColumns, Scratch
from symbench.events import Advanced, Finished, Listener, Started
from symbench.measure import Sums, classification_columns, compared, regression_columns, squared_distances
from symbench.store import PART, CellRecord, Store

__all__ = ["DEFAULT_BATCH", "Job", "evaluate"]


def evaluate(job: Job, store: Store, *, listen: Listener, stopped: Callable[[], bool]) -> CellRecord:
    """Measure one cell, or finish what an earlier run began.

    Raises:
        ModelError: the model raised, or returned a wrong shape, NaN or infinity.
        DataError: a sample cannot be used.
        Interrupted: asked to stop; finished parts are kept.
    """
    order = sample_order(job)
    folder = store.cell_folder(job.cell.key)
    scratch = Scratch(folder / "scratch", job.checkpoint)
    parts = [(first, min(first + PART, len(order))) for first in range(0, len(order), PART)]
    elements = len(job.prepared.elements)
    done = sum(scratch.has_part(first) for first, _ in parts)
    total = len(order) * elements
    listen(Started(str(job.cell.pair), total, "images", done=0))
    try:
        with torch.inference_mode():
            listed = reference_pass(job, order, scratch, listen, stopped)
            for first, last in parts:
                if scratch.has_part(first):
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
                measure_part(job, listed, order, first, last, scratch, listen)
                done += 1
            return close(job, listed, order, parts, scratch, store)
    except torch.OutOfMemoryError as error:
        remedy = f"Use a --batch-size below {job.batch}."
        raise ModelError(Problem(str(job.cell.pair), "ran out of device memory", None, remedy)) from error
    finally:
        listen(Finished())


def measure_part(
    job: Job,
    listed: Sequence[Reference],
    order: Sequence[int],
    first: int,
    last: int,
    scratch: Scratch,
    listen: Listener,
) -> None:
    """Run one part under every element but the identity, and write its rows and sums."""
    count, elements = last - first, len(job.prepared.elements)
    leaves, targets = load_leaves(job, order[first:last])
    columns = [PartColumns(elements, count, {}) for _ in listed]
    sums: list[dict[str, Any]] = [{} for _ in listed]
    identity = job.prepared.elements.values[:1]
    for reference, filled in zip(listed, columns, strict=True):
        raw = reference.rows(first, last, job.exact)
        _fill(filled, reference, identity, raw[None], raw, targets, slice(0, 1), slice(0, count))
    together = max(1, job.batch // count)  # elements in one forward pass, where a part is smaller than a batch
    for chunk in pieces(elements - 1, together):
        g = job.prepared.elements.values[1:][chunk]
        moves = {name: job.prepared.actions[name].bind(g, x) for name, x in leaves.items()}
        place = slice(chunk.start + 1, chunk.stop + 1)
        for piece in pieces(count, max(1, job.batch // len(g))):
            outputs = run_model(job, {name: moves[name](x[piece]).flatten(0, 1) for name, x in leaves.items()})
            here = {name: target[piece] for name, target in targets.items()}
            size = piece.stop - piece.start
            for reference, filled, kept in zip(listed, columns, sums, strict=True):
                output = outputs[reference.task.output]
                check_shape(job, reference, output)
                output = output.unflatten(0, (len(g), size))
                raw = reference.rows(first + piece.start, first + piece.stop, job.exact)
                _add(
                    kept,
                    _fill(filled, reference, g, output, raw, here, place, piece),
                    place,
                    piece,
                    elements,
                    count,
                )
            listen(Advanced(len(g) * size))
    for reference, filled, kept in zip(listed, columns, sums, strict=True):
        scratch.save(scratch.columns(reference.task.output, first), **filled.arrays)
        scratch.save(scratch.pairing(reference.task.output, first), **kept)
    scratch.save(scratch.part(first), done=np.array(1))


def check_shape(job: Job, reference: Reference, output: Tensor) -> None:
    """Refuse an output whose shape is not that of the identity pass."""
    if tuple(output.shape[1:]) != reference.shape:
        got = f"output {reference.task.output!r} has shape {tuple(output.shape[1:])} for moved inputs"
        raise ModelError(Problem(job.model.name, got, f"{reference.shape}, as for unmoved ones"))


def _fill(
    columns: PartColumns,
    reference: Reference,
    g: Tensor,
    output: Tensor,
    raw: Tensor,
    targets: dict[str, Tensor],
    place: slice,
    piece: slice,
) -> Sums:
    """Columns and sums of one block: ``output`` is ``(k, n, *output)``, ``raw`` the reference's ``(n, *output)``."""
    task = reference.task
    moved = compared(output, task)
    expected = reference.action.act(g, compared(raw, task))
    deviation_sq = squared_distances(moved, expected)
    if not torch.isfinite(deviation_sq).all():
        got = f"output {task.output!r} is so large that its square overflows"
        raise ModelError(Problem("deviation", got, "outputs below 1e150"))
    columns.put("deviation_sq", place, piece, deviation_sq)
    target = targets[task.target] if task.target else None
    if task.classify:
        found = classification_columns(output, target, raw.argmax(-1))
        if target is not None:
            found["target"] = target.expand(len(g), -1)
    else:
        wanted = None
        if target is not None and reference.target_action is not None:
            wanted = reference.target_action.act(g, target.double())
        found = regression_columns(output, wanted)
    for name, values in found.items():
        columns.put(name, place, piece, values)
    mean = reference.action.act(g, reference.mean.to(output.device)[None])[:, 0]
    return Sums.of(moved, expected, mean)


def _add(kept: dict[str, Any], sums: Sums, place: slice, piece: slice, elements: int, count: int) -> None:
    for field in fields(sums):
        block = getattr(sums, field.name).cpu().numpy()
        if field.name.endswith("_sum"):
            kept.setdefault(field.name, np.zeros((elements, block.shape[1])))[place] += block
        else:
            kept.setdefault(field.name, np.zeros((elements, count)))[place, piece] = block
