"""Cell to observations: the only loop that runs a model for measuring.

The identity pass comes first and its outputs stay in a scratch file. Then part by part (1,024 samples of the
cell's order) and element by element; a part is written whole or not at all, so a killed run loses at most one.
When all parts are there, what needs the whole cell is filled in and ``cell.json`` closes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch

from symbench.base.code import foreign
from symbench.base.errors import CellError, Interrupted, ModelError, Problem
from symbench.base.events import Advanced, Finished, Listener, Note, Started
from symbench.base.records import ProbeRecord
from symbench.measure.evaluate.clock import Clock
from symbench.measure.evaluate.closing import close
from symbench.measure.evaluate.controls import run_controls
from symbench.measure.evaluate.job import Job, sample_order
from symbench.measure.evaluate.loop import Loop
from symbench.measure.evaluate.probe import SAMPLES, probed, why_another
from symbench.measure.evaluate.reference import reference_pass
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.store import PART, Store

__all__ = ["Job", "evaluate"]


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
            loop = Loop.of(job, references, order, scratch)
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
                loop.part(slice(first, last), listen)
                done += 1
            close(job, references, order, parts, controls, probe, scratch, store, clock)
    finally:
        listen(Finished())
        for note in job.room.notes:
            listen(Note(note, warning=True))


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
