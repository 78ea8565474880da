"""Whether what a model returns can be held against a dataset's labels: one black image, or the first sample, says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from symbench.algebra.fields import Field
from symbench.domains.common.datasets.base import Aligned, Dataset
from symbench.domains.common.handling import handling_of
from symbench.domains.common.models.running import dtypes_of
from symbench.measure import assemble
from symbench.measure.suite import ModelEntry
from symbench.measure.tasks import Task, Unfit, fitting, pair

SOME = 256
"""Samples whose labels are looked at where each has to be read for it."""


@dataclass(frozen=True)
class Made:
    """A module that a plan has built.

    Attributes:
        module: fresh.
        entry: the suite's entry.
        name: its name.
        takes: the leaves that it takes, in its order.
        meant: the field of the targets that it was made for, where that is known.
    """

    module: nn.Module
    entry: ModelEntry
    name: str
    takes: Sequence[str]
    meant: Field | None = None


def why_unfit(
    made: Made, dataset: Dataset, shapes: Mapping[str, tuple[int, ...]], device: str, dtype: torch.dtype | None
) -> None:
    """Run a model on one black image, and hold what it returns against the labels.

    Args:
        made: the model; its module is moved to the device.
        dataset: with the outputs of the model for labels.
        shapes: the shape of every leaf, as the model sees it.
        device: where.
        dtype: what the model is converted to; None leaves it as it is.

    Raises:
        ModelError: it cannot take such images, returns what is no output of it, or has no output for a label; with
            the first sample that has it.
        DataError: a label cannot be read.
    """
    name = made.name
    model = assemble.ready(made.module, made.entry, name, device=device, dtype=dtype, fields=dataset.fields)
    leaves = _leaves(dataset, shapes, device, dtype or dtypes_of(model.module)[0])
    images = [leaf for leaf in assemble.normalised_leaves(dataset) if leaf in made.takes]
    outputs = model({leaf: leaves[leaf] for leaf in made.takes}, images)
    for output in pair(model.outputs, dataset.targets, scale="probabilities", meant=made.meant):
        shape = tuple(outputs[output.output].shape[1:])
        with fitting(name):
            task = replace(output.of(shape), key=model.seen.key if len(model.outputs) == 1 else None)
            _check_labels(dataset, task, shape, name)


def _leaves(
    dataset: Dataset, shapes: Mapping[str, tuple[int, ...]], device: str, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Black images; the first sample's where leaves are anything else, such as indices."""
    if all(handling_of(field).blank for field in dataset.fields.values()):
        return {leaf: torch.zeros(1, *shape, device=device, dtype=dtype) for leaf, shape in shapes.items()}
    first = dataset.batch([0]).leaves
    return {name: x.to(device, dtype) if x.is_floating_point() else x.to(device) for name, x in first.items()}


def _check_labels(dataset: Dataset, task: Task, shape: tuple[int, ...], name: str) -> None:
    """Hold an output of this shape against its labels: all class indices that are at hand, else the first label."""
    classes = task.classes(shape)
    if task.target is None:
        return
    if classes is None or dataset.targets[task.target].places:  # of maps there are too many labels to look at all
        first = next((index for index in range(len(dataset)) if index not in dataset.unusable), 0)
        task.check_target(shape, dataset.batch([first]).targets[task.target])
        return
    whole = dataset.whole if isinstance(dataset, Aligned) else dataset
    labels = _labels(whole, task.target)
    if isinstance(dataset, Aligned):
        known = (labels >= 0) & (labels < len(dataset.outputs))
        labels = np.where(known, dataset.outputs.numpy()[np.where(known, labels, 0)], labels)
    for index in np.flatnonzero(labels >= classes).tolist():
        if index not in whole.unusable:
            called = whole.called(index)
            with _at_sample(f"sample {index}" if called is None else f"sample {index} ({called})"):
                task.check_target(shape, torch.tensor([labels[index]]))


@contextmanager
def _at_sample(sample: str) -> Iterator[None]:
    """Say which sample has the label that is refused."""
    try:
        yield
    except Unfit as error:
        got = error.got.replace(" and a label is", f", and {sample} has label")
        raise Unfit(got, error.expected, error.remedy) from error


def _labels(dataset: Dataset, target: str) -> np.ndarray:
    """The labels in the order of the samples: all that are at hand, or those of the first samples."""
    known = dataset.labels_at_hand(target)
    if known is not None:
        return known
    few = range(min(SOME, len(dataset)))
    read = [-1 if i in dataset.unusable else dataset.batch([i]).targets[target].reshape(-1)[0].item() for i in few]
    return np.array(read, dtype=np.int64)
