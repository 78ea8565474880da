"""What the classes of an output are called, for those who read its observations."""

from __future__ import annotations

from symbench.algebra.metrics.classes import MOST
from symbench.measure.evaluate.job import Job
from symbench.measure.evaluate.reference import Reference


def named_classes(job: Job, reference: Reference) -> dict[str, list[str]]:
    """What the classes of a labelled output are called, where they have names and are told one by one."""
    count = reference.task.classes(reference.shape) if reference.task.target is not None else None
    if count is None or count > MOST or not job.classes:
        return {}
    return {"classes": [job.classes.get(number, str(number)) for number in range(count)]}
