"""A model on its device, and a cell with everything that it takes to measure it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

from symbench.base.allocation import kept_buffers
from symbench.base.environment import current, numeric_flags
from symbench.base.records import CurveRecord
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import names_of_outputs
from symbench.domains.common.models.base import Model
from symbench.domains.common.models.running import dtypes_of
from symbench.measure.assemble import built_for_data, canvas, dtype_of, layer_fields
from symbench.measure.evaluate import Job
from symbench.measure.evaluate.held import Shelf
from symbench.measure.evaluate.known import Known
from symbench.measure.execution.linear_probe import probed
from symbench.measure.plan.document import Cell
from symbench.measure.plan.workspace import Workspace
from symbench.measure.plan.wrapping import wrapped
from symbench.measure.suite import ModelEntry, Suite

USUAL, MOST = 256, 4096
"""Samples in one forward pass, where nothing else is asked for; and of small ones on a GPU."""
GPU_BATCH = 1 << 24
"""Numbers in one batch on a GPU, as far as that is no more than ``MOST`` samples."""
CPU_BATCH = 1 << 22
"""Numbers in one batch on the CPU. Up to 32 MB, memory is used again from batch to batch; more is fetched anew
each time, which takes longer than moving the images does."""


@dataclass(frozen=True)
class Settings:
    """How to run: what changes no result beyond rounding.

    Attributes:
        device: where models run.
        batch: samples in one forward pass, at most; None for what suits the device.
        trust_pickle: load weights that only a pickle can hold.
        fail_fast: stop at the first cell that fails.
        shelf: the samples that the run holds on its device.
        devices: all that the run may use, this one first; empty where it is the only one.
    """

    device: str
    batch: int | None = None
    trust_pickle: bool = False
    fail_fast: bool = False
    shelf: Shelf = field(default_factory=Shelf, compare=False)
    devices: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All devices that the run may use."""
        return self.devices or (self.device,)


@dataclass(frozen=True)
class Loaded:
    """A model on the device, with the digest of its weights and what is known of it.

    Attributes:
        model: it.
        checkpoint: SHA-256 of its weights, where they come from a file or from training.
        facts: what is known of it before it is measured.
        build: makes it anew; None where nothing will need that.
        known: what its cells have found out about its cost, by dataset and canvas.
        curve: how its training went, where it was trained here.
    """

    model: Model
    checkpoint: str | None
    facts: dict[str, float | None] = field(default_factory=dict)
    build: Callable[[], Model] | None = None
    known: dict[tuple[str, Canvas | None], Known] = field(default_factory=dict)
    curve: CurveRecord | None = None


@contextmanager
def flags(suite: Suite, device: str) -> Iterator[None]:
    """Torch's numeric switches, as the suite wants them, large buffers kept from batch to batch, and the GPU."""
    numerics = suite.numerics
    with current(device), kept_buffers(), numeric_flags(tf32=numerics.tf32, deterministic=numerics.deterministic):
        yield


def completed_for(entry: ModelEntry, dataset: str) -> str:
    """The dataset that a model is completed for, itself or what its entry puts around it; "" where one serves all."""
    own = built_for_data(entry) or entry.wrappers or entry.stands_over_data
    return dataset if own else ""


def completed(space: Workspace, model: Model, cell: Cell, device: str) -> Model:
    """A model that is ready, behind all that its entry puts around it: a symmetry, and a linear probe.

    Raises:
        CellError: it cannot be wrapped, or no probe can be fitted.
    """
    numerics = space.suite.numerics
    with numeric_flags(tf32=numerics.tf32, deterministic=numerics.deterministic):
        return probed(space, wrapped(space, model, cell), cell, device)


def job_of(
    space: Workspace, cell: Cell, loaded: Loaded, settings: Settings, environment: Mapping[str, Any] | None = None
) -> Job:
    """Everything that it takes to measure a cell."""
    suite, dataset = space.suite, space.dataset_of(cell)
    wanted = canvas(suite, cell.pair.symmetry, cell.pair.model)
    batch = _batch(settings, dataset.shapes(canvas=wanted))
    return Job(
        cell=cell,
        takes=cell.takes,
        model=loaded.model,
        dataset=dataset,
        prepared=space.symmetry_of(cell.pair),
        device=settings.device,
        dtype=dtype_of(suite) or dtypes_of(loaded.model.module)[0],
        canvas=wanted,
        decoded=wanted,
        asked=batch,
        limit=space.plan.limit,
        controls=suite.controls,
        scale=suite.scores,
        seed=suite.seed,
        checkpoint=loaded.checkpoint,
        curve=loaded.curve,
        facts={**loaded.facts, "unreadable_samples": float(len(dataset.unusable))},
        environment={**(environment or {}), "batch": batch},
        layers=layer_fields(suite.models[cell.pair.model]),
        classes=names_of_outputs(dataset),
        folder=suite.folder,
        trained=cell.pair.model in space.plan.recipes,
        replica=is_replica(suite.models[cell.pair.model]),
        meant=space.meant_for(cell.pair.model),
        build=loaded.build,
        numerics=suite.numerics,
        known=loaded.known.setdefault((cell.pair.dataset, wanted), Known()),
        held=settings.shelf.of(cell.pair.dataset, dataset, wanted, settings.device, space.plan.limit),
    )


def is_replica(entry: ModelEntry) -> bool:
    """Whether a model is one of several trainings that differ by their seed."""
    return entry.train is not None and entry.train.seed is not None


def _batch(settings: Settings, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Samples in one forward pass: as many as was asked for, but on the CPU no more than fit its caches.

    A GPU is given more of small ones, which it would be done with sooner than it can be told what comes next.
    """
    numbers = sum(prod(shape) for shape in shapes.values())
    if settings.device == "cpu":
        return min(settings.batch or USUAL, max(1, CPU_BATCH // numbers))
    return settings.batch or min(MOST, max(USUAL, GPU_BATCH // numbers))
