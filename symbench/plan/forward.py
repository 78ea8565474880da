"""Whether a model has an output for every label of a dataset: one black image says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from symbench import assemble
from symbench.datasets.arrays import ImageArray
from symbench.datasets.base import Aligned, Arrays, Dataset
from symbench.datasets.pictures import Pictures
from symbench.errors import ModelError, Problem
from symbench.fields import Image
from symbench.measure import tasks
from symbench.models.running import dtypes_of
from symbench.suite import ModelEntry

SOME = 256
"""Samples whose labels are looked at where each has to be read for it."""


def why_unfit(
    module: nn.Module,
    entry: ModelEntry,
    name: str,
    dataset: Dataset,
    shapes: Mapping[str, tuple[int, ...]],
    device: str,
    dtype: torch.dtype | None,
) -> None:
    """Run a model on one black image, and hold the shape of what it returns against the labels.

    Args:
        module: fresh; it is moved to the device.
        entry: the suite's entry of the model.
        name: its name.
        dataset: with the outputs of the model for labels. Nothing is said of leaves that are no images.
        shapes: the shape of every leaf, as the model sees it.
        device: where.
        dtype: what the model is converted to; None leaves it as it is.

    Raises:
        ModelError: it cannot take such images, or has no output for a label; with the first sample that has it.
        DataError: a label cannot be read.
    """
    if not all(isinstance(field, Image) for field in dataset.fields.values()):
        return
    model = assemble.ready(module, entry, name, device=device, dtype=dtype)
    given = dtype or dtypes_of(model.module)[0]
    leaves = {leaf: torch.zeros(1, *shape, device=device, dtype=given) for leaf, shape in shapes.items()}
    outputs = model(leaves, list(leaves))
    for task in tasks(dict(model.outputs), dict(dataset.targets), probabilities=False):
        shape = tuple(outputs[task.output].shape)
        if task.classify and len(shape) != 2:
            got = f"output {task.output!r} has shape {shape}"
            raise ModelError(Problem(name, got, "class scores (n, classes)"))
        if task.classify and task.target is not None:
            _check_labels(dataset, task.target, shape[1], name)


def _check_labels(dataset: Dataset, target: str, outputs: int, name: str) -> None:
    whole = dataset.whole if isinstance(dataset, Aligned) else dataset
    labels = _labels(whole, target)
    for index in np.flatnonzero(labels >= 0).tolist():
        label = int(labels[index])
        if isinstance(dataset, Aligned) and label < len(dataset.outputs):
            label = int(dataset.outputs[label])
        if label >= outputs and index not in whole.unusable:
            file = f" ({whole.source.name(index)})" if isinstance(whole, Pictures) else ""
            number = f"{outputs} output{'' if outputs == 1 else 's'}"
            got = f"has {number}, and sample {index}{file} has label {label}"
            raise ModelError(Problem(name, got, "as many outputs as classes"))


def _labels(dataset: Dataset, target: str) -> np.ndarray:
    """The labels in the order of the samples: all that are in memory, or those of the first samples."""
    if isinstance(dataset, (Pictures, ImageArray)) and dataset.labels is not None:
        return dataset.labels
    if isinstance(dataset, Arrays):
        found: np.ndarray = dataset.target_values[target].numpy()
        return found
    few = range(min(SOME, len(dataset)))
    read = [-1 if i in dataset.unusable else dataset.batch([i]).targets[target].reshape(-1)[0].item() for i in few]
    return np.array(read, dtype=np.int64)
