"""What makes the times of a pass doubtful, in sentences: none of it is left out silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from symbench.base.passes import TimedBatch

SPREAD = 1.2
"""How many times the median the 90th percentile may be."""
DRIFT = 0.05
"""By how much the medians of the two halves may differ, as a part of the smaller one."""


def remark(timed: TimedBatch, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """What makes a pass noisy, without a full stop; None where nothing does.

    Args:
        timed: the headline's batch.
        before: the machine before the pass, see :func:`~symbench.measure.throughput.machine.state`.
        after: and after it.
    """
    found = [*_spread(timed), *_busy(before, after)]
    return f"noisy: {', '.join(found)}" if found else None


def _spread(timed: TimedBatch) -> Iterator[str]:
    """What its own times say."""
    if not timed.p90 <= SPREAD * timed.median:
        yield f"one forward pass in ten took {timed.p90 / timed.median:.2f} times the median or more"
    first, second = timed.halves
    if not abs(second - first) <= DRIFT * min(first, second):
        yield f"the second half of them took {second / first:.2f} times the first"
    if not timed.settled:
        yield f"they had not settled after {timed.warm_up} of warm-up"


def _busy(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What the machine says."""
    for when, machine in (("before", before), ("after", after)):
        load, cores = machine.get("load"), machine.get("cores")
        if load is not None and cores is not None and load > cores:
            yield f"the load {when} them was {load:.1f} on {cores} cores"
