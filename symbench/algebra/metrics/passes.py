"""What throughput passes found: speed and memory of a model, whatever the symmetry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.base import Context, Value
from symbench.algebra.statistics import Passes
from symbench.base.passes import PassRecord, TimedBatch

NONE = "no throughput pass: 'throughput: true' in the suite asks for one"
MEBI = 2**20


def throughput(seen: Context) -> list[Value]:
    """Samples per second: the batch over the median time of its forward passes; the mean over passes."""
    taken = [each.throughput for each in seen.passes]
    return [_over_passes(seen, taken, lambda timed, seconds: timed.batch / seconds)]


def latency(seen: Context) -> list[Value]:
    """Seconds from one sample alone to its output: the median of its forward passes; the mean over passes."""
    taken = [each.latency for each in seen.passes if each.latency is not None]
    if seen.passes and not taken:
        return [Value(None, reason="single samples were not timed")]
    return [_over_passes(seen, taken, lambda timed, seconds: seconds)]


def peak_memory(seen: Context) -> list[Value]:
    """The most MiB that a forward pass of the headline's batch held at a time, weights included, in any pass."""
    if not seen.passes:
        return [_none(seen)]
    known = [each.memory.peak for each in seen.passes if each.memory.peak is not None]
    if not known:
        return [Value(None, reason=seen.passes[-1].memory.how)]
    return [Value(max(known) / MEBI, reason=f"{_batch(seen.passes)}, {seen.passes[-1].memory.how}")]


def _over_passes(seen: Context, taken: Sequence[TimedBatch], of: Callable[[TimedBatch, float], float]) -> Value:
    """The mean over passes of what follows from the median time of each."""
    if not taken:
        return _none(seen)
    values = np.array([of(each, each.median) for each in taken])
    ends = [(each.low, each.high) for each in taken]
    within = np.array(
        [[np.nan if end is None else of(each, end) for end in pair] for each, pair in zip(taken, ends, strict=True)]
    )
    iterations = sum(each.iterations for each in taken)
    found = Value.of(Passes(values, within))
    return replace(found, n=iterations, reason=_said(seen, taken, iterations))


def _said(seen: Context, taken: Sequence[TimedBatch], iterations: int) -> str:
    """How it was measured, and what makes it doubtful."""
    passes = seen.passes
    several = f"{len(taken)} passes" if len(taken) > 1 else "one pass"
    size = taken[-1].batch
    text = f"{several}, {iterations:,} forward passes of {size} sample{'s' * (size > 1)}"
    doubtful = [each.remarks for each in passes if each.remarks]
    if len(passes) > 1 and doubtful:
        text += f"; of {len(doubtful)} of {len(passes)} passes something is to be said, of the last"
    return "; ".join([text, *(doubtful[-1] if doubtful else []), *_others(seen)])


def _others(seen: Context) -> list[str]:
    """What is said of passes that are left out."""
    said = seen.remarks.get("other passes")
    return [] if said is None else [said]


def _batch(passes: Sequence[PassRecord]) -> str:
    return f"a forward pass of {passes[-1].throughput.batch} samples"


def _none(seen: Context) -> Value:
    """Why there is no number: a pass that failed, or none that was asked for."""
    failed = seen.remarks.get("passes")
    return Value(None, reason=failed or NONE, failed=failed is not None)
