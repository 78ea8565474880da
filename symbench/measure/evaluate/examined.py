"""A cell as its controls see it: what they share, what they may spend, and what they found."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.controls import NOT_RUN
from symbench.base.columns import OBSERVATIONS
from symbench.base.errors import ModelError, Problem
from symbench.base.events import Advanced, Finished, Listener, Started
from symbench.base.records import FindingRecord, GeneratorRecord
from symbench.measure.evaluate.budget import Share, Size
from symbench.measure.evaluate.job import Job
from symbench.measure.evaluate.precision import in_float64
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rows import Columns, Outputs, as_compared, outputs_of, pairing
from symbench.measure.evaluate.stopwatch import Taken
from symbench.measure.store import PART

CLEAR = 0.2
"""The standard error of a distance, relative to it, at which a floor is known well enough."""
SURE = 0.1
"""The same of a share of E or a derivative."""


@dataclass
class Controls:
    """What the controls of a cell came to.

    Attributes:
        tables: columns of observations.
        reasons: each control, None where it ran.
        short: what was not run, or not on all that it was asked for, for lack of budget, with the option that would.
        generators: of the Lie derivative's rows.
        sizes: E in float64 by the side of the image, around the size that is measured.
        lower: where the model computes in lower precision inside, by the submodule's name; looked for where it is
            not exact.
        taken: the times of passes that were made.
        facts: what controls of domains and plug-ins found of the model.
        findings: of what the model does instead of what is declared, in words and numbers.
    """

    tables: list[Columns] = field(default_factory=list)
    reasons: dict[str, str | None] = field(default_factory=dict)
    short: dict[str, str] = field(default_factory=dict)
    generators: list[GeneratorRecord] = field(default_factory=list)
    sizes: dict[int, float] = field(default_factory=dict)
    lower: dict[str, str] = field(default_factory=dict)
    taken: Taken = ()
    facts: dict[str, float | None] = field(default_factory=dict)
    findings: list[FindingRecord] = field(default_factory=list)

    @property
    def rows(self) -> Columns:
        """All rows together."""
        return {name: np.concatenate([rows[name] for rows in self.tables]) for name in OBSERVATIONS.names}


class NoBudget(Exception):
    """A control gets nothing of the budget; the text is what the cell says of it."""


@dataclass
class Examined:
    """A cell under control.

    Attributes:
        job: the cell.
        references: the outputs.
        chosen: samples that controls may take.
        order: all samples of the cell.
        shares: what each control may run.
        listen: hears which control is under way.
        found: filled in.
        wide: what a float64 pass counts as.
        spent: passes so far, as the budget counts them.
        moved: outputs of the first control samples by element, in the suite's dtype.
    """

    job: Job
    references: Sequence[Reference]
    chosen: Sequence[int]
    order: Sequence[int]
    shares: Mapping[str, Share]
    listen: Listener
    wide: float
    found: Controls = field(default_factory=Controls)
    spent: float = 0.0
    moved: dict[int, Outputs] = field(default_factory=dict)
    _doubled: tuple[Job | None, str | None] | None = None
    _wide: Outputs = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.job = replace(self.job, passed=self._counting(1.0))

    def _counting(self, cost: float) -> Callable[[int], None]:
        def passed(count: int) -> None:
            before, self.spent = self.spent, self.spent + count * cost
            self.listen(Advanced(math.floor(self.spent) - math.floor(before)))

        return passed

    @contextmanager
    def under_way(self, name: str) -> Iterator[None]:
        """While a control runs: a bar of its own. One that asks nothing of the model has no share of the budget."""
        sizes = self.shares[name].sizes if name in self.shares else ()
        self.listen(Started(f"{self.job.cell.pair}: {name}", math.ceil(sizes[0].passes) if sizes else 0, "passes"))
        try:
            yield
        finally:
            self.listen(Finished())

    def sizes(self, name: str) -> Sequence[Size]:
        """What a control may run, one after the other until its answer is clear.

        Raises:
            NoBudget: nothing.
        """
        share = self.shares[name]
        if not share.sizes:
            raise NoBudget(f"{NOT_RUN}: {share.remedy} runs it")
        return share.sizes

    def unclear(self, name: str, size: Size) -> None:
        """A control has run all that it may, and its answer is not clear: the cell says what it ran on."""
        share = self.shares[name]
        last = share.plan.sizes[-1]
        ran = [f"{size.samples} of {last.samples} samples"] if size.samples < last.samples else []
        ran += [f"{size.elements} of {last.elements} {_things(name)}"] if size.elements < last.elements else []
        if ran:
            self.found.short[name] = f"run on {' and '.join(ran)} for lack of budget: {share.remedy} runs all"

    @cached_property
    def raw(self) -> Outputs:
        """The outputs of the control samples as the reference pass has them, ``(n, *output)``."""
        count, device = len(self.chosen), self.job.exact
        return {r.task.output: torch.cat(list(r.pieces(device, count))) for r in self.references}

    @cached_property
    def first(self) -> list[Tensor]:
        """The same as they are compared, output by output."""
        return [as_compared(self.raw, r.task) for r in self.references]

    @cached_property
    def nulls(self) -> list[float]:
        """The mean squared distance between the outputs of different control samples, output by output."""
        return [r.comparison.null(values) for r, values in zip(self.references, self.first, strict=True)]

    @cached_property
    def told_apart(self) -> list[float]:
        """The same as E's null is counted, over places and without padding."""
        pairs = zip(self.references, self.first, strict=True)
        found = [pairing(x, x, r.comparison, self.chosen)["unrelated_sq"] for r, x in pairs]
        return [float(each.mean()) if len(each) > 1 else 0.0 for each in found]

    @property
    def full(self) -> bool:
        """Whether controls are run whatever they cost, and none stops early."""
        return self.job.controls.full

    @property
    def doubled(self) -> tuple[Job | None, str | None]:
        """The cell in float64, or why it cannot be had."""
        if self._doubled is None:
            found, reason = in_float64(self.job)
            self._doubled = (None if found is None else replace(found, passed=self._counting(self.wide))), reason
        return self._doubled

    def give_up_float64(self, reason: str) -> None:
        """The model does not run in it: from here on it is judged as it runs."""
        self._doubled = None, reason

    @property
    def best(self) -> Job:
        """The cell in float64, or as it runs where it does not run in that."""
        return self.doubled[0] or (self.job if self.job.runner is None else self._plain)

    @cached_property
    def _plain(self) -> Job:
        return self.job.plain

    def batched_alike(self, some: slice) -> bool:
        """Whether the reference pass has seen these samples in the same batches."""
        end = some.stop % self.job.batch == 0 or some.stop == len(self.order)
        return some.start % self.job.batch == 0 and end and PART % self.job.batch == 0

    def unmoved(self, job: Job, count: int) -> Outputs:
        """The outputs of the first control samples as they are, in the suite's dtype or in float64.

        In the suite's dtype the reference pass has them already; in float64 each sample is run once.
        """
        if job is self.job:
            return {name: values[:count] for name, values in self.raw.items()}
        have = len(next(iter(self._wide.values()))) if self._wide else 0
        if have < count:
            more = outputs_of(job, self.chosen[have:count])
            self._wide = joined(self._wide, more)
        return {name: values[:count] for name, values in self._wide.items()}

    def moved_by(self, number: int, count: int) -> Outputs:
        """The outputs of the first control samples under an element, in the suite's dtype; each is run once."""
        known = self.moved.get(number, {})
        have = len(next(iter(known.values()))) if known else 0
        if have < count:
            self.moved[number] = joined(known, outputs_of(self.job, self.chosen[have:count], number=number))
        return {name: values[:count] for name, values in self.moved[number].items()}


def joined(known: Outputs, more: Outputs) -> Outputs:
    """Outputs of some samples, and of further ones.

    Raises:
        ModelError: they have other shapes.
    """
    for name, values in known.items():
        check_alike(name, values, more[name])
    return {name: torch.cat([known[name], x]) if name in known else x for name, x in more.items()}


def check_alike(name: str, before: Tensor, after: Tensor) -> None:
    """Refuse outputs whose shapes differ from run to run.

    Raises:
        ModelError: with both.
    """
    if before.shape[1:] != after.shape[1:]:
        shapes = f"{tuple(before.shape[1:])} and {tuple(after.shape[1:])}"
        raise ModelError(Problem(f"output {name!r}", f"has shapes {shapes}", "one shape"))


def _things(name: str) -> str:
    return "sizes" if name == "geometry" else "elements"


def relative_error(above: np.ndarray, below: np.ndarray | None = None) -> float:
    """The standard error of the root of a mean, or of a ratio of two, relative to it; 0 where all is 0.

    Args:
        above: squares, ``(n,)``.
        below: what they are in units of, ``(n,)``.
    """
    if not above.any():
        return 0.0
    mean = float(above.mean())
    if len(above) < 2 or not math.isfinite(mean):
        return math.inf
    centred = above - (mean if below is None else below * (mean / float(below.mean())))
    return 0.5 * float(centred.std(ddof=1)) / math.sqrt(len(above)) / mean
