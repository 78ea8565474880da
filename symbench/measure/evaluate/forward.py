"""The forward pass: a job's model on some leaves, its outputs checked and brought to where they are compared."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor

from symbench.base.code import foreign
from symbench.base.errors import ModelError
from symbench.base.slices import slices
from symbench.domains.common.models.unanswered import Unanswered
from symbench.measure.assemble import normalised_leaves
from symbench.measure.evaluate.finite import Finite
from symbench.measure.evaluate.job import Job
from symbench.measure.evaluate.places import axes_of, without_padding
from symbench.measure.evaluate.room import free
from symbench.measure.evaluate.stopwatch import Stopwatch


@contextmanager
def running(job: Job) -> Iterator[None]:
    """Around all that runs the model, or a brought action: what that raises becomes a ModelError."""
    brought = foreign(ModelError, str(job.cell.pair), "moving leaves or outputs")
    # no inference mode, which would forbid models to differentiate inside
    with brought if job.prepared.brought else nullcontext(), torch.no_grad():
        yield


@contextmanager
def naming(job: Job, samples: Sequence[int]) -> Iterator[None]:
    """Around forward passes of these samples, or of several views of them one after the other.

    One that a model has no answer for is called by its name.
    """
    try:
        yield
    except Unanswered as error:
        number = samples[error.row % len(samples)]
        called = job.dataset.called(number)
        sample = f"sample {number}" if called is None else f"sample {number} ({called})"
        raise error.at(job.model.name, sample) from error


def run_model(
    job: Job,
    leaves: dict[str, Tensor],
    watch: Stopwatch | None = None,
    finite: Finite | None = None,
    kept: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Crop where the border policy says so, and run the model on inputs in the job's dtype.

    The outputs come back where float64 can be had.

    Args:
        job: the model, and how its inputs are finished.
        leaves: ``(n, ...)`` each; they stay as they are, unless ``kept`` says which have to.
        watch: times the module's own work.
        finite: looks at the outputs, and is asked later what it saw; by default it is asked at once.
        kept: what ``leaves`` were made of and has to stay as it is; what has memory of its own is handed over.

    Raises:
        ModelError: an output is NaN or infinite, or the model raised.
    """
    finished = {name: job.prepared.actions[name].finish(x) for name, x in leaves.items()}
    cast = {name: x.to(job.dtype) if x.is_floating_point() else x for name, x in finished.items()}
    cast = {name: cast[name] for name in job.takes}
    outputs = _called(job, cast, watch, set() if kept is None else _apart(cast, kept))
    if job.passed is not None:
        job.passed(len(next(iter(cast.values()))))
    moved, fields = job.prepared.places, job.output_fields
    outputs = {name: without_padding(x, axes_of(fields[name], moved), leaves) for name, x in outputs.items()}
    seen = Finite(job.model.name) if finite is None else finite
    for name, value in outputs.items():
        seen.look(name, value)
    if finite is None:
        seen.settle()
    return {name: value.to(job.exact) for name, value in outputs.items()}


def _apart(leaves: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> set[str]:
    """The leaves that share no memory with those that are kept."""
    memory = {x.untyped_storage().data_ptr() for x in kept.values()}
    return {name for name, x in leaves.items() if x.untyped_storage().data_ptr() not in memory}


def _called(job: Job, leaves: dict[str, Tensor], watch: Stopwatch | None, spare: Container[str]) -> dict[str, Tensor]:
    """What the model returns; by halves where the device runs out of memory, and by smaller batches from then on."""
    count = len(next(iter(leaves.values())))
    around = nullcontext if watch is None else partial(watch.of, count)
    images = [name for name in normalised_leaves(job.dataset) if name in leaves]
    if job.room.most is not None and count > job.room.most:
        return _in_pieces(job, leaves, watch, spare)  # it was made before that was known
    versions = {name: x._version for name, x in leaves.items()}
    try:
        return job.running(leaves, images, around=around, spare=spare)
    except torch.OutOfMemoryError as error:
        if any(x._version != versions[name] for name, x in leaves.items()):
            raise  # it has written into what it was handed over: whoever made that begins anew
        job.room.halve(count, job.name, error)
    free(job.device)
    return _in_pieces(job, leaves, watch, spare)


def _in_pieces(
    job: Job, leaves: dict[str, Tensor], watch: Stopwatch | None, spare: Container[str]
) -> dict[str, Tensor]:
    pieces = slices(len(next(iter(leaves.values()))), job.batch)
    found = [_called(job, {name: x[piece] for name, x in leaves.items()}, watch, spare) for piece in pieces]
    return {name: torch.cat([each[name] for each in found]) for name in found[0]}
