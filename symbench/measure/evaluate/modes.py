"""The suite's mode for a cell: a faster copy of its model, held against the model itself before it is trusted.

On some samples and views both are run. A copy that cannot be had, that raises, or that is too far from the model is
dropped for the next slower one, and at last for the model itself; the cell's record says which it was and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from symbench.base.code import shortened
from symbench.base.errors import CellError, ModelError
from symbench.base.events import Listener, Note
from symbench.base.records import ProbeRecord
from symbench.domains.common.models.base import Model
from symbench.domains.common.models.program import Program
from symbench.domains.common.models.running import named
from symbench.measure.evaluate.checked import Checked
from symbench.measure.evaluate.first_pass import task_of
from symbench.measure.evaluate.forward import run_model
from symbench.measure.evaluate.job import Job, briefly, load_leaves, view_leaves
from symbench.measure.evaluate.precision import copied
from symbench.measure.evaluate.rows import Leaves, Outputs, as_compared, far, outputs_of, spread
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.faster.build import half_of, runner_of
from symbench.measure.faster.flow import flow_of
from symbench.measure.faster.runner import Runner, Way
from symbench.measure.suite.numerics import Mode
from symbench.measure.tasks import Task, fitting, pair

SHARE, FEWEST, MOST, VIEWS = 0.05, 16, 256, 8
"""The part of a cell's passes that is run both ways, which is a tenth in all, at least and at most so many of them,
spread over so many views."""
WATCHED = 2
"""Samples that are run to see which layer feeds which."""
NOTHING = "there is nothing in it to merge"


@dataclass(frozen=True)
class Distance:
    """How far the outputs of a faster copy are from the model's.

    Attributes:
        passes: samples times views that both were run on.
        changed: the share of predictions that differ; None where nothing is predicted.
        deviation: the largest distance, in units of that between different samples.
        absolute: the same in the output's own unit.
    """

    passes: int
    changed: float | None
    deviation: float
    absolute: float

    @classmethod
    def largest(cls, passes: int, each: Sequence[Distance]) -> Distance:
        """The largest of several outputs' in everything; NaN where one is, whichever it is."""
        changed = [found.changed for found in each if found.changed is not None]
        share = float(np.max(changed)) if changed else None
        deviation, absolute = np.max([(found.deviation, found.absolute) for found in each], axis=0).tolist()
        return cls(passes, share, deviation, absolute)

    def beyond(self, changed: float, deviation: float) -> str | None:
        """Why this is too far; None where it is within both limits. NaN is too far."""
        if self.changed is not None and not self.changed <= changed:
            return f"{self.said()}; tolerated are {changed:.1%} of predictions"
        return None if self.deviation <= deviation else f"{self.said()}; tolerated is {deviation:.2g}"

    def said(self) -> str:
        """In words."""
        changed = (
            "outputs" if self.changed is None else f"{self.changed:.1%} of predictions differ from exact, outputs"
        )
        return f"on {self.passes} inputs {changed} by at most {self.deviation:.1e} of the distance between samples"

    def facts(self) -> dict[str, float | None]:
        """As a cell's facts."""
        return {
            "checked_passes": float(self.passes),
            "changed_predictions": self.changed,
            "largest_deviation": self.deviation,
            "largest_deviation_absolute": self.absolute,
        }


def in_mode(job: Job, order: Sequence[int], scratch: Scratch, listen: Listener) -> Job:
    """The job in the suite's mode, or in the slower one that it falls back to; a decision of an earlier run stands.

    Args:
        job: the cell, with the model itself.
        order: its samples.
        scratch: of the cell, which has been begun.
        listen: hears of what falls back.
    """
    if job.numerics.mode == "exact":
        return job
    known = _restored(scratch)
    if known is not None:
        runner = "" if known.way is None else _runner(job, known.way, order)
        if known.way is None or isinstance(runner, Model):
            return replace(job, runner=runner if isinstance(runner, Model) else None, checked=known)
        begun = scratch.begun_with()  # the machine that began the cell could run it that way, and this one cannot
        scratch.begin(job.checkpoint, None if begun is None else begun[1])
    return _kept(chosen(job, order), scratch, listen)


def refused(job: Job, error: ModelError, probe: ProbeRecord | None, scratch: Scratch, listen: Listener) -> Job:
    """The job with the model itself, after its faster copy raised; what that has measured is dropped."""
    scratch.begin(job.checkpoint, probe)
    plain = replace(job.plain, checked=Checked())
    return _kept(_said(plain, {job.checked.mode: briefly(error)}), scratch, listen)


def said_of_mode(job: Job) -> dict[str, str]:
    """What is to be said of the mode that a cell was measured in, as a remark of its record."""
    module = None if job.runner is None else job.runner.module
    plainly = module.replayed.refused if isinstance(module, Runner) else None
    said = [each for each in (job.checked.remark, plainly) if each is not None]
    return {"mode": "; ".join(said)} if said else {}


def _kept(job: Job, scratch: Scratch, listen: Listener) -> Job:
    checked = job.checked
    way = checked.way and {"half": checked.way.half and named(checked.way.half), "merged": checked.way.merged}
    scratch.decide({**asdict(checked), "way": way})
    if checked.mode != job.numerics.mode:
        listen(Note(f"{job.cell.pair}: {checked.remark}", warning=True))
    return job


def _restored(scratch: Scratch) -> Checked | None:
    kept = scratch.decided()
    if kept is None:
        return None
    if kept["way"] is None:
        return Checked(**kept)
    half = kept["way"]["half"]
    return Checked(**{**kept, "way": Way(half and getattr(torch, half), kept["way"]["merged"])})


def chosen(job: Job, order: Sequence[int]) -> Job:
    """The job in the first mode, down from the suite's, that the model runs in and is close enough to exact in."""
    asked = job.numerics.mode
    if asked == "exact":
        return job
    program = next((type(each).__name__ for each in job.model.module.modules() if _is_program(each)), None)
    if program is not None:
        return _said(job, {asked: f"it is a program ({program}), which runs as it was saved"})
    try:
        check = _Check.of(job, order)
    except CellError as error:  # the passes over all samples say it better
        return _said(job, {asked: briefly(error)})
    reasons: dict[Mode, str] = {}
    for mode in job.numerics.modes:
        reasons[mode] = f"{job.device} has no quick half precision"
        for way in _ways(mode, job.device):
            found = _tried(job, mode, way, order, check)
            if isinstance(found, Job):
                del reasons[mode]
                return _said(found, reasons)
            reasons[mode] = found
    return _said(job, reasons)


def _ways(mode: Mode, device: str) -> list[Way]:
    """How a model may be run in a mode, the fastest first; none where the device cannot."""
    half = half_of(device)
    if mode == "fused":
        return [Way(None, merged=True)]
    return [Way(half, merged=True), Way(half, merged=False)] if half is not None else []


def _tried(job: Job, mode: Mode, way: Way, order: Sequence[int], check: _Check) -> Job | str:
    """The job run this way, or why it is not."""
    runner = _runner(job, way, order)
    if not isinstance(runner, Model):
        return runner
    faster = replace(job, runner=runner)
    try:
        distance = check.distance(faster)
    except CellError as error:
        return briefly(error)
    reason = distance.beyond(*job.numerics.limits(mode))
    if reason is not None:
        return reason
    module = runner.module
    how = f"({module.described()}): " if isinstance(module, Runner) else ""
    return replace(faster, checked=Checked(mode, way, f"{how}{distance.said()}", distance.facts()))


def _said(job: Job, reasons: Mapping[Mode, str]) -> Job:
    """The job with what is to be said of its mode, and of those that it is not in, and why."""
    found = job.checked
    first = f"measured in mode {found.mode}" + (f" {found.remark}" if found.remark else "")
    whys = [f"not in mode {mode}: {reason}" for mode, reason in reasons.items()]
    return replace(job, checked=replace(found, remark="; ".join([first, *whys])))


def _is_program(part: nn.Module) -> bool:
    return isinstance(part, (Program, torch.jit.ScriptModule))


def _runner(job: Job, way: Way, order: Sequence[int]) -> Model | str:
    """What runs the model this way, made once for all cells of a dataset; or why it cannot be had."""
    known = job.known.runners
    if way not in known:
        known[way] = _built(job, way, order)
    return known[way]


def _built(job: Job, way: Way, order: Sequence[int]) -> Model | str:
    leaves = view_leaves(job, order[:WATCHED])[0]
    try:
        with torch.no_grad():
            copy = copied(job)
            watched = replace(job.plain, model=replace(job.model, module=copy))
            flow = flow_of(copy, lambda: run_model(watched, leaves), min(WATCHED, len(order)))
            runner = runner_of(copy, way, flow, device=job.device, habits=job.model.habits)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's module may refuse to be copied or converted
        return f"a copy of it cannot be had: {shortened(error)}"
    return NOTHING if runner is None else replace(job.model, module=runner.eval())


@dataclass(frozen=True)
class _Check:
    """The model's own outputs for some samples and views.

    Attributes:
        job: with the model itself.
        samples: which.
        views: the views' numbers, that of the reference view first.
        leaves: of the samples.
        outputs: of each view.
        tasks: of the outputs.
    """

    job: Job
    samples: Sequence[int]
    views: Sequence[int]
    leaves: Leaves
    outputs: Sequence[Outputs]
    tasks: Sequence[Task]

    @classmethod
    def of(cls, job: Job, order: Sequence[int]) -> _Check:
        """Run the model on some of the cell's samples, all of them in its first part, and on some of their views.

        Raises:
            CellError: it cannot be run, or its outputs are not what they are declared to be.
        """
        elements = len(job.prepared.elements)
        passes = min(MOST, max(FEWEST, int(SHARE * len(order) * elements)))
        views = [0, *spread(range(1, elements), min(VIEWS, passes // VIEWS) - 1)]
        samples = list(order[: max(2, passes // len(views))])
        leaves = load_leaves(job, samples)[0]
        outputs = [outputs_of(job, samples, number=number, loaded=leaves) for number in views]
        paired = pair(job.model.outputs, job.dataset.targets, scale=job.scale, meant=job.meant, trained=job.trained)
        tasks = [task_of(job, each, tuple(outputs[0][each.output].shape[1:])) for each in paired]
        with fitting(job.model.name):
            tasks = [task.settled([outputs[0][task.output]], job.rounding) for task in tasks]
        return cls(job, samples, views, leaves, outputs, tasks)

    def distance(self, faster: Job) -> Distance:
        """How far another way of running the model is from it, over all outputs.

        Raises:
            CellError: it raises, or gives NaN or infinity.
        """
        again = [outputs_of(faster, self.samples, number=n, loaded=self.leaves) for n in self.views]
        each = [self._of_output(task, again) for task in self.tasks]
        return Distance.largest(len(self.samples) * len(self.views), each)

    def _of_output(self, task: Task, again: Sequence[Outputs]) -> Distance:
        exact, other = ([as_compared(o, task).double() for o in outputs] for outputs in (self.outputs, again))
        comparison = self.job.comparison_of(task.field, tuple(exact[0].shape[1:]))
        off = torch.cat([far(a, b, comparison) for a, b in zip(exact, other, strict=True)])
        # of outputs that are nearly constant there is no distance to speak of: then their size is the measure
        size, null = float(comparison.square(exact[0]).mean()), comparison.null(exact[0])
        unit = max(null, (100 * self.job.rounding) ** 2 * size, torch.finfo(torch.float64).tiny)
        furthest = float(off.max()) ** 0.5
        changed = [_changed(task, a, b) for a, b in zip(exact, other, strict=True)]
        known = [share for share in changed if share is not None]
        share = sum(known) / len(known) if known else None
        return Distance(len(off), share, furthest / unit**0.5, furthest)


def _changed(task: Task, exact: Tensor, other: Tensor) -> float | None:
    """The share of what is predicted of ``(n, *output)``, one class or several labels, that differs."""
    one, two = task.read(exact, exact), task.read(other, exact)
    if "label_scores" in one:
        return float(((one["label_scores"] > 0) != (two["label_scores"] > 0)).double().mean())
    return float((one["prediction"] != two["prediction"]).double().mean()) if "prediction" in one else None
