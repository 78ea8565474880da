"""Controls that domains and plug-ins bring, run on the model of a cell."""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor

from symbench.algebra.controls import ControlRow, Facts, Subject
from symbench.base.code import foreign
from symbench.base.errors import ModelError
from symbench.base.slices import slices
from symbench.measure.evaluate.forward import run_model
from symbench.measure.evaluate.job import Job


def facts_by(row: ControlRow, name: str, job: Job, exact: Job) -> Facts:
    """What a control finds of a model: once on each dataset, since no symmetry changes it.

    Args:
        row: the control.
        name: its name.
        job: the cell.
        exact: the same in float64, or as it is where it does not run in that.

    Raises:
        ModelError: the model raised on what the control showed it, or the control did.
    """
    known = job.known.facts
    if name not in known:
        with foreign(ModelError, f"control {name}", "running it"):
            known[name] = dict(row.load()(_subject(exact)))
    return known[name]


def _subject(job: Job) -> Subject:
    def run(leaves: dict[str, Tensor]) -> dict[str, Tensor]:
        actions = job.prepared.actions
        sent = {name: x.to(job.device) for name, x in leaves.items()}
        # As actions carry them: what they would leave behind has to be there.
        beside = {name: [sent[other] for other in actions[name].beside] for name in sent if name in actions}
        there = {name: actions[name].carried(sent[name], beside[name]) for name in beside}
        count = len(next(iter(there.values())))
        found = [run_model(job, {name: x[some] for name, x in there.items()}) for some in slices(count, job.batch)]
        return {name: torch.cat([each[name] for each in found]) for name in found[0]}

    def some(count: int) -> dict[str, Tensor]:
        usable = (index for index in range(len(job.dataset)) if index not in job.dataset.unusable)
        return dict(job.dataset.batch(list(islice(usable, count)), canvas=job.canvas).leaves)

    shapes = job.dataset.shapes(canvas=job.canvas)
    return Subject(run, tuple(job.takes), shapes, job.output_fields, job.rounding, some)
