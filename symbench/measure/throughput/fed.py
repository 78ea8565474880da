"""A model with its input on the device, made once: what a throughput pass runs again and again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from symbench.base.errors import CellError, ModelError, Problem
from symbench.measure.assemble import normalised_leaves
from symbench.measure.evaluate.forward import running
from symbench.measure.evaluate.job import Job, sample_order, view_leaves
from symbench.measure.evaluate.modes import chosen
from symbench.measure.evaluate.room import free
from symbench.measure.execution.context import Context
from symbench.measure.execution.loading import job_of
from symbench.measure.execution.worker import load_model
from symbench.measure.throughput.clocks import HostClock
from symbench.measure.throughput.entrants import Entrant
from symbench.measure.throughput.memory import free_bytes
from symbench.measure.throughput.turns import Around, Forward, Lane

KEPT_FREE = 0.5
"""The part of what was free of a device's memory that stays free when models are loaded side by side."""
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""What torch says where memory runs out, on a device or on the host."""


@dataclass(frozen=True)
class Fed:
    """A model, and what it is given.

    Attributes:
        entrant: the model on its dataset.
        job: the cell that it is of, loaded.
        inputs: each leaf that it takes, ``(batch, ...)``, cropped, normalised and in the model's dtype.
    """

    entrant: Entrant
    job: Job
    inputs: dict[str, Tensor]

    def forward(self, batch: int) -> Forward:
        """Runs the model on the first ``batch`` samples."""
        given = {name: x[:batch] for name, x in self.inputs.items()}

        def run(around: Around) -> object:
            try:
                return self.job.running(given, around=around)
            except torch.OutOfMemoryError as error:
                got = f"ran out of device memory with {batch} samples"
                raise ModelError(Problem(self.job.model.name, got)) from error

        return run

    @property
    def module(self) -> nn.Module:
        """What is run: the model's own, or the faster copy of it that the suite's mode asks for."""
        return self.job.running.module

    def lane(self, batch: int, *, apart: bool = False) -> Lane:
        """The model at a batch size, to be timed."""
        return Lane(self.forward(batch), batch, apart)


def fed_with(entrant: Entrant, job: Job, batch: int) -> Fed:
    """A model and its input; where the dataset has fewer samples than a batch, they are repeated.

    Raises:
        CellError: the samples cannot be read, or do not fit the device.
    """
    order = sample_order(job)[:batch]
    repeated = torch.arange(batch, device=job.device) % len(order)
    try:
        with running(job):
            leaves, _ = view_leaves(job, order)
            finished = {name: job.prepared.actions[name].finish(leaves[name]) for name in job.takes}
        cast = {name: x.to(job.dtype) if x.is_floating_point() else x for name, x in finished.items()}
        images = set(normalised_leaves(job.dataset))
        ready = {name: job.model.normalisation(x) if name in images else x for name, x in cast.items()}
        return Fed(entrant, job, {name: x[repeated] for name, x in ready.items()})
    except torch.OutOfMemoryError as error:
        got = f"ran out of device memory with {batch} samples"
        raise ModelError(Problem(job.model.name, got)) from error


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error came of memory that ran out."""
    if error is None:
        return False
    words = str(error).lower()
    return any(each in words for each in NO_MEMORY) or out_of_memory(error.__cause__)


def tried(entrant: Entrant, job: Job, batch: int) -> Fed:
    """A model with its input, which has run once.

    Raises:
        CellError: it does not fit, or the model fails for another reason.
    """
    fed = fed_with(entrant, job, batch)
    fed.lane(batch).block(HostClock(job.device), 1)
    return fed


def fitting(entrant: Entrant, job: Job, batch: int) -> Fed:
    """A model with the largest input that fits: the batch that was asked for, or that halved until it does.

    Raises:
        CellError: one sample does not fit, or the model fails for another reason.
    """
    while True:
        try:
            return tried(entrant, job, batch)
        except CellError as error:
            if not out_of_memory(error):
                raise
            if batch == 1:
                remedy = "Close what else uses it, or time a smaller model."
                got = "does not fit the device's memory with a single sample"
                raise ModelError(Problem(job.model.name, got, None, remedy)) from error
        free(job.device)  # not in the handler: what was computed hangs on its traceback
        batch //= 2


Loading = tuple[Entrant, Job | CellError]
"""A model that is loaded, or why it cannot be."""


def in_groups(context: Context, mine: Sequence[Entrant]) -> Iterator[list[Loading]]:
    """Load models side by side: all of them, or as many at a time as leave half of the device's free memory free.

    Whoever takes a group drops it before the next is loaded.
    """
    device = context.ledger.settings.device
    waiting, group = list(mine), list[Loading]()
    at_first = free_bytes(device)
    while waiting:
        found = _loaded(context, waiting[0])
        full = isinstance(found, CellError) and out_of_memory(found) and bool(group)
        if not full:
            group.append((waiting.pop(0), found))
            now = free_bytes(device)
            full = at_first is not None and now is not None and now < KEPT_FREE * at_first
        del found
        if full and waiting:
            yield group
            group = []
            free(device)
    yield group


def _loaded(context: Context, entrant: Entrant) -> Job | CellError:
    space, settings = context.workspace, context.ledger.settings
    try:
        loaded = load_model(context, entrant.cell)
        job = job_of(space, entrant.cell, loaded, settings, context.environment)
        with running(job):
            return chosen(job, sample_order(job))
    except CellError as error:
        return error
