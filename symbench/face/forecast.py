"""What a run would do, before it does it: cells, forward passes, time and disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from symbench.algebra.metrics.brought import names_in, with_code
from symbench.algebra.statistics import no_change, smallest_detectable_difference, unseen
from symbench.base.environment import hardware
from symbench.base.errors import several
from symbench.face.history import Guess, History, Work
from symbench.face.trainings import TRIED, Training, document_of, in_words, trainings_of
from symbench.face.underway import earlier_of, failed_passes
from symbench.measure import throughput
from symbench.measure.evaluate.budget import Budget, wider
from symbench.measure.evaluate.extent import extent_of
from symbench.measure.evaluate.plans import expected
from symbench.measure.execution.ledger import Ledger
from symbench.measure.execution.samples import needs
from symbench.measure.plan.document import Cell, Plan
from symbench.measure.plan.workspace import Workspace
from symbench.measure.suite.gates import metrics_of
from symbench.measure.training.checkpoints import cached

BYTES_PER_ROW = 40
"""What an observation comes to on disk, compressed; measured on the quick suite."""


@dataclass(frozen=True)
class CellForecast:
    """One cell, before it is measured.

    Attributes:
        names: model, dataset and symmetry.
        elements: K; None where the cell will fail.
        labels: ``by name`` or ``by index``: how class labels find a model's outputs; None where there are none.
        state: ``measured``, ``to be measured``, or ``will fail: ...``.
        passes: images through the model.
        time: what it would take, by what like cells took; None where none were measured.
        bytes: of observations.
    """

    names: dict[str, str]
    key: str
    elements: int | None
    labels: str | None
    state: str
    passes: int
    time: Guess | None
    bytes: int

    def document(self) -> dict[str, Any]:
        """As plain data."""
        own = {key: value for key, value in vars(self).items() if key not in {"names", "time"}}
        return {**self.names, **own, **document_of(self.time)}


@dataclass(frozen=True)
class Forecast:
    """What a run would do.

    Attributes:
        cells: in the order in which they would run.
        trained: the models that would be trained first, with what that would take.
        images: how many images would be decoded.
        device: where.
        loading: seconds that it took to load data and models just now, as every run does first.
        devices: among how many the rest is shared out.
        timing: seconds that throughput passes take at least.
    """

    cells: list[CellForecast]
    trained: dict[str, Training]
    images: int
    device: str
    loading: float = 0.0
    devices: int = 1
    timing: float = 0.0

    @property
    def time(self) -> Guess | None:
        """What all of it would take that is known; None where nothing is. At most as long as one device would."""
        times = [*(each.time for each in self.trained.values()), *(cell.time for cell in self.cells)]
        known = [time for time in times if time is not None]
        if not known:
            return None
        shared = [replace(t, seconds=t.seconds / self.devices, low=t.low / self.devices) for t in known]
        return sum(shared, Guess(self.loading, self.loading, self.loading))

    def document(self) -> dict[str, Any]:
        """As plain data."""
        training = [{"model": name, **each.document()} for name, each in self.trained.items()]
        return {
            "device": self.device,
            "to_train": list(self.trained),
            "training": training,
            "to_decode": self.images,
            "cells": [cell.document() for cell in self.cells],
            "seconds_of_throughput_passes": self.timing,
            **document_of(self.time),
        }

    def table(self) -> list[tuple[str, ...]]:
        """Rows for people, headings first."""
        rows: list[tuple[str, ...]] = [
            ("model", "dataset", "symmetry", "K", "labels", "passes", "time", "disk", "state")
        ]
        for cell in self.cells:
            elements = "-" if cell.elements is None else str(cell.elements)
            time = "?" if cell.time is None else str(cell.time)
            busy = cell.passes > 0
            numbers = (f"{cell.passes:,}", time, f"{cell.bytes / 1e6:.1f} MB") if busy else ("-", "-", "-")
            rows.append((*cell.names.values(), elements, cell.labels or "-", *numbers, cell.state))
        return rows

    def summary(self) -> str:
        """One sentence with the totals."""
        busy = [cell for cell in self.cells if cell.passes]
        text = f"{len(busy)} of {several(len(self.cells), 'cell')} to be measured on {self.device}: "
        text += f"{sum(cell.passes for cell in busy):,} images through models, "
        text += f"{sum(cell.bytes for cell in busy) / 1e6:.1f} MB"
        text += self._in_words(busy)
        if self.images:
            text += f"; {self.images:,} images to be decoded, which is not counted"
        if self.timing:
            text += f"; throughput passes of {self.timing:,.0f} s at least, which are not counted"
        return text

    def _in_words(self, busy: Sequence[CellForecast]) -> str:
        """How long it would take and how that is known, and what is not known."""
        text, time = "", self.time
        if time is not None:
            steps = sum(key.startswith(TRIED) for key in time.learnt)
            count = len(time.learnt) - steps
            learnt = ["1 cell or training" if count == 1 else f"{count} cells and trainings"] if count else []
            learnt += [f"a few steps of {steps} training{'s' if steps > 1 else ''}"] if steps else []
            how = f"from {' and '.join(learnt)} measured on such hardware"
            text += f", {time} with training, controls and loading, {how}"
        cells = sum(cell.time is None for cell in busy)
        unknown = [f"{cells} of the cells"] if cells else []
        unknown += [f"the training of {name}" for name, each in self.trained.items() if each.time is None]
        if unknown and time is None:
            text += "; nothing like it was measured on such hardware, so how long it takes is not known"
        elif unknown:
            text += f"; not counted, as nothing like it was measured: {', '.join(unknown)}"
        return f"{text}; to be trained first:{in_words(self.trained, self.devices)}" if self.trained else text


def of(space: Workspace, ledger: Ledger, *, loading: float = 0.0, passes: int | None = None) -> Forecast:
    """Look at a plan; nothing is run, and nothing is written.

    Args:
        space: the plan, and what was loaded to make it.
        ledger: what is measured already, and where the rest would be.
        loading: seconds that it took to resolve the plan.
        passes: throughput passes that are asked for on this hardware.
    """
    plan, devices = space.plan, ledger.settings.all
    history = History(ledger.store, hardware(devices[0], devices=len(devices)))
    cells = [_cell(space, ledger, cell, history) for cell in plan.cells]
    untrained = [name for name in plan.recipes if plan.models[name].broken is None and cached(plan, name) is None]
    trained = trainings_of(space, untrained, history, devices[0])
    images = sum(need.pending() for need in needs(space, ledger, plan.cells))
    models = throughput.entrants(space, [cell for cell in plan.cells if space.broken_reason(cell) is None])
    failed = failed_passes(earlier_of(ledger.store, plan)) if models else ()
    lacks = throughput.lacking(space, ledger, models, passes, failed)
    timing = throughput.seconds_at_least(space, models, lacks)
    return Forecast(cells, trained, images, ", ".join(devices), loading, len(devices), timing)


def _cell(space: Workspace, ledger: Ledger, cell: Cell, history: History) -> CellForecast:
    plan, names = space.plan, cell.pair.names()
    broken = space.broken_reason(cell)
    if broken is not None:
        return CellForecast(names, cell.key, None, None, f"will fail: {broken}", 0, None, 0)
    labels = None if cell.labels is None else f"by {cell.labels.by}"
    moved = len(space.symmetry_of(cell.pair).elements) - 1
    if ledger.done(space, cell):
        return CellForecast(names, cell.key, moved, labels, "measured", 0, None, 0)
    samples = plan.data[cell.pair.dataset].count
    samples = samples if plan.limit is None else min(samples, plan.limit)
    work = Work.of(plan.suite.resolved(), names, samples, moved + 1)
    passes = samples * (moved + 1) + _controls(space, ledger, cell, samples, history.flops(work))
    time = history.cell(work)
    return CellForecast(
        names, cell.key, moved, labels, "to be measured", passes, time, samples * (moved + 1) * BYTES_PER_ROW
    )


def _controls(space: Workspace, ledger: Ledger, cell: Cell, samples: int, flops: float | None) -> int:
    """Samples that the controls show the model before any goes on, of a model that may be broken by its size."""
    suite, settings, prepared = space.suite, ledger.settings, space.symmetry_of(cell.pair)
    extent = extent_of(
        prepared,
        space.dataset_of(cell).fields,
        range(min(samples, suite.controls.samples)),
        wide=wider(settings.device, suite.numerics.dtype == "float64"),
        layers=len(suite.models[cell.pair.model].layers or ()),
    )
    return expected(Budget.of(suite.controls, samples * len(prepared.elements), settings.device, flops), extent)


CHANGED = (0.027, 0.1)
"""The shares of samples that may change: the first is what two trainings of one small network disagree on (450
digits). What margins are held against before anything is measured."""


@dataclass(frozen=True)
class Margin:
    """What a rule could tell, before anything is measured.

    Attributes:
        rule: in words.
        samples: of the smallest dataset that it is about.
        unseen: changes in a smaller share of samples than this could go unseen.
        margin: a share; None where the rule has another limit, or a metric that is no share.
        detectable: the smallest difference that would be found, were each of ``CHANGED`` of the samples to change.
    """

    rule: str
    samples: int
    unseen: float
    margin: float | None
    detectable: tuple[float, ...] = ()

    @property
    def blind(self) -> bool:
        """Whether the margin is below what can be detected."""
        return self.margin is not None and self.detectable[0] > self.margin

    def document(self) -> dict[str, Any]:
        """As plain data."""
        pairs = zip(CHANGED, self.detectable, strict=bool(self.detectable))
        seen = [{"changed": share, "difference": points} for share, points in pairs]
        return {**vars(self), "detectable": seen, "blind": self.blind}

    @property
    def sentence(self) -> str:
        """What is told of it."""
        parts = []
        if self.detectable:
            seen = (
                f"{100 * points:.1f} points if {100 * share:.3g} % of them change"
                for share, points in zip(CHANGED, self.detectable, strict=True)
            )
            parts.append(f"with {self.samples:,} samples it can detect {', '.join(seen)}")
        parts.append(f"changes in fewer than {100 * self.unseen:.2g} % of {self.samples:,} samples could go unseen")
        if self.blind:
            parts.append("warning: the margin is smaller; more samples or a wider margin would let it decide")
        return f"{self.rule}: {'; '.join(parts)}"


def margins(plan: Plan) -> list[Margin]:
    """What every rule could tell, over all matches of the gate."""
    known = with_code(names_in(plan.suite.resolved()), plan.suite.folder)
    asked = [
        (rule, [c for c in plan.cells if rule.matches(c.pair.names())], metrics_of(rule, known))
        for rule in plan.suite.gates
    ]
    matches = sum(len(cells) * len(metrics) for _, cells, metrics in asked)
    found = []
    for rule, cells, metrics in asked:
        counts = [count for cell in cells if (count := plan.data[cell.pair.dataset].count)]  # 0 where unreadable
        if not counts or all(row.scope == "model" for row in metrics.values()):
            continue
        samples = min(counts)
        shares = all(row.unit == "share" for row in metrics.values())
        margin = rule.max_drop if shares else None
        seen = () if margin is None else tuple(detectable(samples, changed, matches) for changed in CHANGED)
        found.append(Margin(rule.name, samples, unseen(samples), margin, seen))
    return found


def detectable(samples: int, changed: float, matches: int) -> float:
    """What a gate says that it can detect where a share of the samples is lost or gained, half of them each."""
    confidence = no_change(samples, changed)
    return smallest_detectable_difference(confidence.spread, matches=max(matches, 1))
