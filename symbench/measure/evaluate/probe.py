"""A few outputs that are kept of every cell: a model that gives others now is not the one that was measured.

Everything that is known to change a model is in the cell's key. This is for what is not: a library that was broken in
a way that no digest shows, a file that is read in C, another processor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from symbench.base.errors import CellError, ModelError, Problem
from symbench.base.identity.reads import changed_reads
from symbench.base.records import ProbedOutput, ProbeRecord
from symbench.measure.evaluate.forward import run_model, running
from symbench.measure.evaluate.job import Job, view_leaves

SAMPLES = 4
WIDTH = 32
"""Numbers that are kept of an output for each sample."""
DIGITS = 9
"""As many as float32 has."""
TOLERANCE = {
    torch.finfo(dtype).eps: share
    for dtype, share in {
        torch.float64: 1e-10,
        torch.float32: 3e-5,
        torch.float16: 0.01,
        torch.bfloat16: 0.05,
    }.items()
}
"""What another processor, batch or number of threads may change, as a part of an output's length, by the relative
rounding of the model's coarsest part."""


def probed(job: Job, samples: Sequence[int]) -> ProbeRecord:
    """Run the model on some samples as they are.

    Raises:
        ModelError: it cannot be run, or gives NaN or what is nearly infinite.
        DataError: a sample cannot be read.
    """
    outputs = {}
    reads = job.model.habits.reads
    with running(job):
        leaves = view_leaves(job, samples)[0]
        with reads.recording():
            given = run_model(job, leaves)
    for name, value in given.items():
        numbers = value.detach().double().cpu().numpy().reshape(len(samples), -1)
        with np.errstate(over="ignore"):
            norms = np.linalg.norm(numbers, axis=1)
        if not np.isfinite(norms).all():
            raise ModelError(Problem(job.model.name, f"output {name!r} is so large that its square overflows"))
        outputs[name] = ProbedOutput(shape=list(value.shape[1:]), sums=_kept(folded(numbers)), norms=_kept(norms))
    files, environment = reads.relative(job.folder), dict(reads.environment)
    return ProbeRecord(samples=list(samples), outputs=outputs, files=files, environment=environment)


def folded(numbers: np.ndarray) -> np.ndarray:
    """At most ``WIDTH`` sums for each row of ``(n, d)``, with fixed random signs so that no pattern cancels out."""
    n, d = numbers.shape
    if d <= WIDTH:
        return numbers
    signed = numbers * (2.0 * np.random.default_rng(0).integers(0, 2, d) - 1)
    padded = np.pad(signed, ((0, 0), (0, -d % WIDTH)))
    found: np.ndarray = padded.reshape(n, -1, WIDTH).sum(axis=1)
    return found


def why_another(job: Job, before: ProbeRecord) -> str | None:
    """Why the model at hand is not the one that was measured; None where it gives what it gave, up to rounding.

    Args:
        job: with the model at hand.
        before: what was kept of the one that was measured.
    """
    changed = changed_reads(before.files, before.environment, job.folder)
    if changed:
        return f"changed since, and read while it runs: {', '.join(changed)}"
    try:
        after = probed(job, before.samples)
    except CellError as error:
        return f"it could be run when it was measured: {error}"
    if before.outputs.keys() != after.outputs.keys():
        return f"it gives {', '.join(after.outputs)}, and gave {', '.join(before.outputs)}"
    for name, then in before.outputs.items():
        now = after.outputs[name]
        if then.shape != now.shape:
            return f"output {name!r} has the shape {tuple(now.shape)}, and had {tuple(then.shape)}"
        distance = np.linalg.norm(np.array(now.sums) - np.array(then.sums), axis=1)
        share = float((distance / np.maximum(np.array(then.norms), np.finfo(np.float64).tiny)).max())
        if not share <= TOLERANCE[job.rounding]:  # written so that NaN is another model
            return f"output {name!r} is another by {share:.1e} of its size, though nothing that is known has changed"
    return None


def _kept(numbers: np.ndarray) -> list:  # type: ignore[type-arg]
    """Rounded to what is worth keeping, as nested lists."""
    with np.errstate(divide="ignore"):
        scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.where(numbers == 0, 1.0, np.abs(numbers)))))
    rounded: list = (np.round(numbers * scale) / scale).tolist()  # type: ignore[type-arg]
    return rounded
