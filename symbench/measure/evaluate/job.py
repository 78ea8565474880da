"""One cell with everything that it takes to measure it, and the forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.actions.base import KINDS, SIDES, Action, Kind, ready
from symbench.algebra.comparison import Comparison
from symbench.algebra.fields import Category, Classes, Field, MultiLabel
from symbench.base.code import LONGEST, foreign
from symbench.base.environment import exact_device, sent
from symbench.base.errors import CellError, DataError, Problem
from symbench.base.records import CurveRecord
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.fitting import check_values, frame_of
from symbench.domains.common.handling import handling_of
from symbench.domains.common.models.base import Model
from symbench.domains.common.models.running import dtypes_of
from symbench.measure.assemble import Prepared, seed_for
from symbench.measure.evaluate.by_place import ByPlace, by_place
from symbench.measure.evaluate.checked import Checked
from symbench.measure.evaluate.held import Held
from symbench.measure.evaluate.known import Known
from symbench.measure.evaluate.places import axes_of, comparison_of, output_fields, without_padding
from symbench.measure.evaluate.room import Room
from symbench.measure.plan.document import Cell
from symbench.measure.suite.controls import Controls
from symbench.measure.suite.numerics import Numerics
from symbench.measure.tasks import Task, pair


@dataclass(frozen=True)
class Job:
    """One cell with everything that it takes to measure it.

    Attributes:
        cell: names and key.
        takes: the leaves that the model takes, in its order.
        model: on the device, in the suite's dtype or the dtypes that it came in.
        dataset: loaded.
        prepared: the symmetry, built for this dataset.
        device: where.
        dtype: what inputs are cast to; they are transformed in float32 or better.
        canvas: what images are brought to, or None.
        decoded: the canvas on which the dataset is asked for them. Where a control tries another one, they are
            resized from there, so that no image is decoded again.
        asked: samples in one forward pass, unless fewer fit.
        limit: the first samples of the order only.
        controls: what the suite says of them.
        scale: whether class scores are compared as probabilities or as logits.
        seed: the suite's.
        checkpoint: SHA-256 of the weights, where they come from a file.
        curve: how its training went, where it was trained here.
        facts: what is already known of the model, such as what its training took.
        environment: versions, device and flags.
        layers: the field of every layer that the suite names, by the submodule's name.
        classes: what outputs are called, by their numbers.
        build: makes the model anew, where it cannot be copied.
        known: what the run knows already of the model's cost on this dataset.
        folder: the suite's, which paths of files that the model reads are told from.
        trained: the model was trained here.
        meant: the field of the targets that the model was made for, where that is known: classes, if it names some.
        held: the dataset's samples on the device; None where they are read batch by batch.
        replica: the model is one of several trainings: what it is off by is kept itself, for those to be compared.
        passed: hears of how many samples each forward pass had; None where nobody counts.
        numerics: the suite's.
        runner: what is run in place of the model, where that is faster; None runs the model.
        checked: what came of the suite's mode for this cell.
    """

    cell: Cell
    takes: Sequence[str]
    model: Model
    dataset: Dataset
    prepared: Prepared
    device: str
    dtype: torch.dtype
    canvas: Canvas | None
    decoded: Canvas | None
    asked: int
    limit: int | None
    controls: Controls
    scale: Literal["probabilities", "logits"]
    seed: int
    checkpoint: str | None
    facts: dict[str, float | None]
    environment: dict[str, Any]
    layers: Mapping[str, Field] = field(default_factory=dict)
    classes: Mapping[int, str] = field(default_factory=dict)
    build: Callable[[], Model] | None = None
    known: Known = field(default_factory=Known)
    folder: Path = Path()
    trained: bool = False
    meant: Field | None = None
    held: Held | None = None
    numerics: Numerics = field(default_factory=Numerics)
    runner: Model | None = None
    checked: Checked = field(default_factory=Checked)
    replica: bool = False
    curve: CurveRecord | None = None
    passed: Callable[[int], None] | None = None

    @property
    def batch(self) -> int:
        """Samples in one forward pass."""
        return self.asked if self.room.most is None else min(self.asked, self.room.most)

    @property
    def room(self) -> Room:
        """How many samples fit into one forward pass of the model."""
        return self.known.room

    @property
    def name(self) -> str:
        """The model's name, for messages."""
        return self.model.name

    @property
    def running(self) -> Model:
        """What is run: the model, or what is faster in its place."""
        return self.runner or self.model

    @property
    def plain(self) -> Job:
        """The same with the model itself."""
        return replace(self, runner=None)

    @property
    def rounding(self) -> float:
        """The largest relative rounding error of the model's parts and inputs: ``eps`` of the coarsest dtype."""
        half = None if self.checked.way is None else self.checked.way.half
        dtypes = [self.dtype, *dtypes_of(self.model.module), *([half] if self.runner and half else [])]
        return max(torch.finfo(dtype).eps for dtype in dtypes)

    @cached_property
    def output_fields(self) -> dict[str, Field]:
        """The field of every output, as far as it is known before the model has run."""
        return output_fields(pair(self.model.outputs, self.dataset.targets, scale=self.scale, meant=self.meant))

    def comparison_of(self, field: Field, shape: tuple[int, ...]) -> Comparison:
        """How outputs of this field and shape are compared with those of other samples."""
        return comparison_of(field, shape, self.prepared.places, self.dataset.sizes)

    def by_place(self, task: Task, comparison: Comparison) -> ByPlace | None:
        """The places of an output, where it has some or grows with some."""
        axes = axes_of(task.field, self.prepared.places)
        shapes = self.dataset.shapes(canvas=self.canvas) if task.per is not None else {}
        leaves = {
            name: (self.dataset.fields[name], shape) for name, shape in shapes.items() if name in self.dataset.fields
        }
        return by_place(task, comparison, axes, leaves, self.dataset.sizes)

    @property
    def exact(self) -> str:
        """Where outputs are compared, in float64."""
        return exact_device(self.device)


def briefly(error: CellError) -> str:
    """What went wrong, without the pages that some programs write about it."""
    text = str(error)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def sample_order(job: Job) -> list[int]:
    """The seeded order in which a dataset's samples are evaluated; the same for every model and symmetry.

    Raises:
        DataError: none of them can be read.
    """
    order = seeded_order(len(job.dataset), job.cell.identity["dataset"]["digest"], seed=job.seed, limit=job.limit)
    readable = [index for index in order if index not in job.dataset.unusable]
    if not readable:
        got = f"none of the {len(order):,} samples can be read"
        raise DataError(Problem(job.cell.pair.dataset, got, "at least one that can"))
    return readable


def seeded_order(count: int, digest: str, *, seed: int, limit: int | None) -> list[int]:
    """All samples of a dataset with this digest, or the first of them, in the order that the suite's seed gives."""
    generator = np.random.Generator(np.random.PCG64(seed_for(seed, "order", digest)))
    order: list[int] = generator.permutation(count).tolist()
    return order if limit is None else order[:limit]


def load_leaves(job: Job, indices: Sequence[int]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Samples on the device, prepared (masked) and in the dtype they are transformed in; their targets on the CPU.

    Raises:
        DataError: the dataset raised, a label is negative or beyond its classes, a target not finite, or a box none.
    """
    with foreign(DataError, job.cell.pair.dataset, "reading samples"):
        batch = _read(job, indices)
        resized = {name: _brought(job, name, x) for name, x in batch.leaves.items()}
    there = {name: sent(x, job.device) for name, x in resized.items()}
    cast = {
        name: x.to(precision(job, name)) if x.is_floating_point() or _computed(job, name) else x
        for name, x in there.items()
    }
    leaves = ready(job.prepared.actions, cast)
    targets = {name: _checked_target(job, name, target) for name, target in batch.targets.items()}
    frame = frame_of(job.dataset.fields, batch.leaves)
    for name, target in targets.items():
        check_values(job.dataset.targets[name], target, frame, indices, f"{job.cell.pair.dataset}, target {name!r}")
    axes = {name: axes_of(job.dataset.targets[name], "") for name in targets}
    return leaves, {name: without_padding(x, axes[name], leaves) for name, x in targets.items()}


def _read(job: Job, indices: Sequence[int]) -> Batch:
    held = None if job.held is None else job.held.batch(indices)
    if held is None:
        return job.dataset.batch(indices, canvas=job.decoded)
    return Batch(held.leaves, job.dataset.aligned(held.targets))


def _brought(job: Job, leaf: str, values: Tensor) -> Tensor:
    """A leaf as the dataset was asked for it, on the canvas of the job."""
    if job.canvas == job.decoded or leaf not in job.dataset.fields:
        return values
    return handling_of(job.dataset.fields[leaf]).resized(values, job.canvas)


def _computed(job: Job, leaf: str) -> bool:
    return job.prepared.is_computed(leaf, job.dataset.fields[leaf])


def precision(job: Job, leaf: str) -> torch.dtype:
    """In which a leaf is moved: coordinates in float64, so that they are rounded once, behind the group's formula.

    What is only moved about, or resampled, as pixels are, stays in float32 unless the model is in float64.
    """
    computed = _computed(job, leaf) and not job.device.startswith("mps")  # it has no float64
    return torch.float64 if computed or job.dtype == torch.float64 else torch.float32


def _checked_target(job: Job, name: str, target: Tensor) -> Tensor:
    where = f"{job.cell.pair.dataset}, target {name!r}"
    if isinstance(job.dataset.targets[name], (Category, Classes)):
        if target.is_floating_point() or target.ndim != 1 or int(target.min()) < 0:
            raise DataError(
                Problem(where, f"got {target.dtype} of shape {tuple(target.shape)}", "class indices (n,), 0 or more")
            )
        return target.to(torch.int64)
    if job.dataset.targets[name].value.names:  # at places
        if target.is_floating_point() or int(target.min()) < -1:
            got = f"got {target.dtype} of shape {tuple(target.shape)}, at least {int(target.min())}"
            raise DataError(Problem(where, got, "class indices, 0 or more, and -1 where nothing is labelled"))
        return target.to(torch.int64)
    if isinstance(job.dataset.targets[name], MultiLabel):
        if target.ndim != 2 or not ((target == 0) | (target == 1)).all():
            got = f"got {target.dtype} of shape {tuple(target.shape)}"
            raise DataError(Problem(where, got, "0 or 1 for each label (n, labels)"))
        return target.to(torch.int64)
    if not torch.isfinite(target).all():
        raise DataError(Problem(where, "is NaN or infinite", "finite numbers"))
    return target


def view_leaves(job: Job, indices: Sequence[int], number: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Samples as one of their views shows them, and their targets, unmoved; number 0 is the reference view.

    Raises:
        DataError: as :func:`load_leaves`.
    """
    leaves, targets = load_leaves(job, indices)
    return view(job, leaves, indices, number), targets


def view(job: Job, leaves: dict[str, Tensor], indices: Sequence[int], number: int) -> dict[str, Tensor]:
    """What :func:`load_leaves` gave, as one of the samples' views shows it."""
    if number == 0 and not job.prepared.elements.moved_reference:
        return leaves
    g = job.prepared.elements.at(indices)[number : number + 1]
    return {name: job.prepared.actions[name].act(g, x)[0] for name, x in leaves.items()}


def sides(job: Job, sample: int) -> tuple[int, int]:
    """How long a side is of the canvas of the leaf that is moved, and of what the model sees of it."""
    action = job.prepared.actions[job.prepared.on]
    with foreign(DataError, job.cell.pair.dataset, "reading samples"):
        image = job.dataset.batch([sample], canvas=job.decoded).leaves[job.prepared.on]
        image = _brought(job, job.prepared.on, image)
    return int(image.shape[-1]), int(action.finish(action.prepare(image)).shape[-1])


def immovable(job: Job, action: Action, shape: tuple[int, ...], sample: int) -> str | None:
    """Why an output or a layer of this shape cannot be moved along with the input; None if it can."""
    reason = action.immovable(shape, sides(job, sample)[1] if action.in_input_units else 0)
    shared = job.prepared.elements.shared
    if reason is None and shared is not None and any(action.exchanges(shared, shape)) and not exchanging(job):
        return SIDES
    return reason


def kinds(job: Job, samples: Sequence[int]) -> list[Kind]:
    """The kind of every view, the worst over leaves; and over samples, where each has elements of its own."""
    return kinds_among(job.prepared, samples)


def kinds_among(prepared: Prepared, samples: Sequence[int]) -> list[Kind]:
    """The same of a symmetry on its own."""
    elements = prepared.elements
    if elements.shared is not None:
        return _kinds(prepared, elements.shared)
    return [max(_kinds(prepared, g), key=KINDS.index) for g in elements.at(samples)]


def kinds_of(job: Job, g: Tensor) -> list[Kind]:
    """The kind of each element ``(k, ...)``: the worst of what it does to any leaf."""
    return _kinds(job.prepared, g)


def _kinds(prepared: Prepared, g: Tensor) -> list[Kind]:
    each = [action.kinds(g) for action in prepared.actions.values()]
    return [max(several, key=KINDS.index) for several in zip(*each, strict=True)]


def exchanging(job: Job) -> tuple[bool, ...]:
    """Which elements make inputs of another shape, quarter turns of a rectangle; empty where none does."""
    shared, actions = job.prepared.elements.shared, job.prepared.actions
    if shared is None:
        return ()
    shapes = job.dataset.shapes(canvas=job.canvas)
    each = [action.exchanges(shared, shapes[leaf]) for leaf, action in actions.items() if leaf in shapes]
    found = tuple(any(some) for some in zip(*each, strict=True))
    return found if any(found) else ()


def cropped(job: Job, target: str, values: Tensor) -> Tensor:
    """What is left of a target's values ``(n, ...)`` behind a crop: what outputs are held against."""
    return job.prepared.action_on(job.dataset.targets[target], f"target {target}").cropped(values)
