"""What a model costs: numbers that it holds, operations of a forward pass, and the time of one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import numpy as np

from symbench.base.errors import ModelError
from symbench.domains.common.models.operations import count_numbers, operations
from symbench.domains.common.models.program import Program
from symbench.domains.common.models.running import WRITES
from symbench.measure.evaluate.forward import run_model
from symbench.measure.evaluate.job import Job, briefly, load_leaves, view_leaves
from symbench.measure.evaluate.stopwatch import Stopwatch, Taken

FEW, MANY, WORK = 2, 16, 1e9
"""Samples whose operations are counted one by one, where they do this much work or all that are looked at together do
the same each; and how many are looked at."""
ENOUGH_PASSES, ENOUGH_SECONDS, MOST_PASSES = 10, 0.02, 100
"""Forward passes, and their time together, after which no more of them are made for the sake of timing alone; and how
many, whatever that is."""
LONG, SHORT = 0.1, 0.02
"""Seconds that timing may take beyond the passes that are made anyway: where this run has not timed the model on this
dataset yet, and in further cells."""


def facts_of(
    job: Job, order: Sequence[int], taken: Taken, again: Taken
) -> tuple[dict[str, float | None], dict[str, str]]:
    """The facts of a cell's record, and remarks on them by the fact's name.

    Args:
        job: the cell.
        order: its samples.
        taken: the reference pass's times, in their order.
        again: times of passes that came after it.
    """
    flops, said = operations_of(job, order)
    facts = {**count_numbers(job.model.module), "flops": flops, **time_passes(job, order, taken, again)}
    remarks = {"flops": said} if said is not None else {}
    if job.model.habits.writes:
        remarks["inputs"] = f"the model {WRITES}"
    return facts, remarks


def operations_of(job: Job, order: Sequence[int]) -> tuple[float | None, str | None]:
    """What :func:`count_flops` counts, once for each model and dataset."""
    if job.known.flops is None:
        job.known.flops = count_flops(job.plain, order)
    return job.known.flops


def count_flops(job: Job, order: Sequence[int]) -> tuple[float | None, str | None]:
    """Floating-point operations of one sample's forward pass (a multiply-add is two), and what is to be said of them.

    Attention and recurrent layers are counted as the products of matrices that they are. The mean over some samples;
    None where the model does not run under the counter, or does nothing that torch can count.
    """
    module = job.model.module
    size = module.batches.least if isinstance(module, Program) else 1  # it fills up smaller batches
    counts: list[float] = []
    names: dict[str, None] = {}
    try:
        most = min(MANY * size, len(order))
        for start in range(0, most, size):
            counts.append(_flops(job, order[start : start + size], names) / size)
            if len(counts) != FEW or len(set(counts)) > 1:
                continue
            if sum(counts) > WORK or _flops(job, order[:most], names) == counts[0] * most:
                break  # all are the same, as far as is looked
    except ModelError as error:
        return None, f"not counted: {briefly(error)}"
    mean = float(np.mean(counts))
    said = [f"without {', '.join(names)}, which torch cannot count"] if names else []
    if len(set(counts)) > 1:
        said.append(f"are the mean of {len(counts)} samples, from {min(counts):,.0f} to {max(counts):,.0f}")
    return mean or None, "; ".join(said) or None


def _flops(job: Job, samples: Sequence[int], names: dict[str, None]) -> int:
    leaves, _ = load_leaves(job, samples)
    count, uncounted = operations(job.model.module, partial(run_model, job, leaves))
    names |= dict.fromkeys(uncounted)
    return count


def time_passes(job: Job, order: Sequence[int], taken: Taken, again: Taken) -> dict[str, float | None]:
    """Seconds for one sample: the median and the middle half of full batches' forward passes, of a warm model.

    The passes that measuring makes anyway, and more of them only while these are few and quick.
    """
    size = min(job.batch, len(order))
    warm = taken if job.known.timed else taken[1:]
    passes = [seconds for count, seconds in (*warm, *again) if count == size]
    until = time.perf_counter() + (SHORT if job.known.timed else LONG)
    if len(passes) < ENOUGH_PASSES:
        leaves, _ = view_leaves(job, order[:size])
        while not passes or (_few(passes) and time.perf_counter() + passes[-1] < until):
            watch = Stopwatch(job.device)
            run_model(job, leaves, watch)
            passes += [seconds for _, seconds in watch.taken]
    job.known.timed = True
    low, median, high = np.quantile(np.array(passes) / size, [0.25, 0.5, 0.75]).tolist()
    known = {"seconds_per_sample": median, "timed_passes": float(len(passes)), "timed_batch": float(size)}
    return {**known, "seconds_low": low, "seconds_high": high} if len(passes) > 1 else known


def _few(passes: Sequence[float]) -> bool:
    return len(passes) < ENOUGH_PASSES or (sum(passes) < ENOUGH_SECONDS and len(passes) < MOST_PASSES)
