"""What a dataset is, and the one that holds everything in memory."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.fields import Boxes, Category, Field, MultiLabel
from symbench.algebra.objects import CLASS
from symbench.base.errors import DataError, Problem
from symbench.base.events import Listener, ignore, never
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.stored import Stored
from symbench.domains.common.handling import brought

Valid = Callable[[int, Mapping[str, float]], bool]
"""``(label, element's parameters) -> bool``, parameters as the group names them: ``{"angle_deg": 180.0}``."""


@dataclass(frozen=True)
class Batch:
    """Some samples: every leaf ``(n, ...)``, every target ``(n, ...)``."""

    leaves: dict[str, Tensor]
    targets: dict[str, Tensor]


class Dataset(ABC):
    """Samples with declared fields. Images are float32 in [0, 1], ``(n, c, h, w)``, not normalised.

    Attributes:
        fields: the field of every leaf.
        targets: the field of every target; empty where there are no labels.
        classes: the names of the classes, where they are known.
        valid: whether a sample of a class still belongs to it when it is moved by an element with these parameters;
            None where every element keeps every label.
        unusable: samples that turned out to be unreadable, with the reason. They count in ``len`` and are left out of
            everything else; all of those among samples that :meth:`prepare` has seen are known.
        occurring: the class labels that there are, where nothing but reading all samples shows it, and that was done.
        sizes: by the name of an axis, how many places each sample has, where samples differ in it: leaves are padded
            to one size; padding moves nowhere and counts nowhere. A leaf ``<axis>_mask`` is added for models.
        fixed: whether samples are the same each time they are read, whatever happens, so that nobody needs to look.
    """

    fields: Mapping[str, Field]
    targets: Mapping[str, Field]
    classes: Sequence[str] | None = None
    valid: Valid | None = None
    unusable: Mapping[int, str] = MappingProxyType({})
    occurring: Sequence[int] | None = None
    fixed: bool = False
    sizes: Mapping[str, Sequence[int]] = MappingProxyType({})

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """The samples at ``indices``, in that order; images brought to ``canvas`` if given.

        Raises:
            DataError: a sample cannot be used, with its index.
        """

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored | None:
        """The same samples as they are kept, of which :meth:`Stored.made` makes the leaves of :meth:`batch`.

        None where nothing is kept: then they may be others each time, or be slow to read, and are asked for anew.

        Raises:
            DataError: as :meth:`batch`.
        """
        del indices, canvas
        return None

    def aligned(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Targets of the same samples, with labels as the outputs of a model are numbered.

        Raises:
            DataError: a label has no class.
        """
        return dict(targets)

    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of the contents."""

    def labels_at_hand(self, target: str) -> np.ndarray | None:
        """The class labels of all samples, in their order, where no sample has to be read for them; else None."""
        del target
        return None

    def called(self, index: int) -> str | None:
        """What a sample is called beside its index, such as its file; None where it has no name."""
        del index
        return None

    def shapes(self, *, canvas: Canvas | None = None) -> dict[str, tuple[int, ...]]:
        """The shape of every leaf, without the sample axis."""
        return {name: tuple(leaf.shape[1:]) for name, leaf in self.batch([0], canvas=canvas).leaves.items()}

    def pending(self, indices: Sequence[int], canvases: Sequence[Canvas | None]) -> int:
        """How many images :meth:`prepare` would decode."""
        del indices, canvases
        return 0

    def prepare(
        self,
        indices: Sequence[int],
        canvases: Sequence[Canvas | None],
        *,
        listen: Listener = ignore,
        stopped: Callable[[], bool] = never,
    ) -> None:
        """Do beforehand what would make the first batches slow: decoding, for all canvases at once.

        Raises:
            DataError: the samples cannot be had.
            Interrupted: ``stopped`` said so; what is done is kept.
        """
        del indices, canvases, listen, stopped

    @classmethod
    def make_room(cls, wanted: Sequence[tuple[Self, Sequence[int], Sequence[Canvas | None]]]) -> None:
        """Make room for what several datasets of this class will :meth:`prepare`, where they share a cache.

        It is asked for once and for all of them, so that none drops what another has just prepared.

        Args:
            wanted: each dataset, with the indices and canvases that it will be asked to prepare.

        Raises:
            DataError: they do not fit together.
        """
        del wanted

    def remarks(self) -> list[str]:
        """What people should be told about the data, a sentence each: what was left out and why."""
        return []


class Readable(Dataset):
    """The samples of a dataset that can be read, counted anew: for training, where no index has to last."""

    def __init__(self, whole: Dataset) -> None:
        self.whole = whole
        self.indices = [index for index in range(len(whole)) if index not in whole.unusable]
        self.fields, self.targets = whole.fields, whole.targets
        self.classes, self.valid = whole.classes, whole.valid
        self.sizes = {axis: [sizes[index] for index in self.indices] for axis, sizes in whole.sizes.items()}

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """The whole dataset's batch."""
        return self.whole.batch([self.indices[index] for index in indices], canvas=canvas)

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored | None:
        """The whole dataset's."""
        return self.whole.stored([self.indices[index] for index in indices], canvas=canvas)

    def digest(self) -> str:
        """The whole dataset's: what can be read follows from it."""
        return self.whole.digest()


class Aligned(Dataset):
    """A dataset whose labels are the outputs of a model: label ``i`` is ``outputs[i]``, one for each label.

    Where samples have several labels, these are all of the outputs in another order.
    """

    def __init__(self, whole: Dataset, outputs: Sequence[int]) -> None:
        self.whole = whole
        self.outputs = torch.tensor(outputs)
        kinds = (Category, MultiLabel, Boxes)
        self.label = next(name for name, field in whole.targets.items() if isinstance(field, kinds))
        self.several = isinstance(whole.targets[self.label], MultiLabel)
        self.fields, self.unusable, self.sizes = whole.fields, whole.unusable, whole.sizes
        self.targets = {**whole.targets, self.label: _renumbered(whole.targets[self.label])}
        rule, labels = whole.valid, {output: label for label, output in enumerate(outputs)}
        self.valid = None if rule is None else lambda output, element: rule(labels[output], element)

    def __len__(self) -> int:
        return len(self.whole)

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """The whole dataset's batch, with other labels.

        Raises:
            DataError: a label has no class.
        """
        found = self.whole.batch(indices, canvas=canvas)
        return Batch(found.leaves, self.aligned(found.targets))

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored | None:
        """The whole dataset's, with other labels.

        Raises:
            DataError: a label has no class.
        """
        found = self.whole.stored(indices, canvas=canvas)
        return None if found is None else replace(found, targets=self.aligned(found.targets))

    def aligned(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """With the label as the model numbers it."""
        if isinstance(self.targets[self.label], Boxes):
            return {**targets, self.label: self._objects(targets[self.label])}
        labels = targets[self.label].long()
        if self.several:
            return {**targets, self.label: labels[:, self.outputs.argsort()]}
        self._refuse_unnamed(labels)
        return {**targets, self.label: self.outputs[labels]}

    def _objects(self, rows: Tensor) -> Tensor:
        """Boxes ``(n, most, 6)`` with the class of each object as the model numbers it."""
        there = rows[..., CLASS] >= 0
        self._refuse_unnamed(rows[..., CLASS][there])
        classes = self.outputs[rows[..., CLASS].long().clamp(min=0)].to(rows.dtype)
        return torch.cat([rows[..., :CLASS], torch.where(there, classes, rows[..., CLASS])[..., None]], -1)

    def _refuse_unnamed(self, labels: Tensor) -> None:
        if not ((labels >= 0) & (labels < len(self.outputs))).all():
            got = f"labels go from {int(labels.min())} to {int(labels.max())}"
            raise DataError(Problem("labels", got, f"0 to {len(self.outputs) - 1}, as many as classes have names"))

    def digest(self) -> str:
        """The whole dataset's."""
        return self.whole.digest()

    def shapes(self, *, canvas: Canvas | None = None) -> dict[str, tuple[int, ...]]:
        """The whole dataset's."""
        return self.whole.shapes(canvas=canvas)


def _renumbered(field: Field) -> Field:
    """The field of labels, of as many classes as a model has."""
    if isinstance(field, Boxes):
        return replace(field, classes=None)
    return MultiLabel(None) if isinstance(field, MultiLabel) else Category(None)


def names_of_outputs(dataset: Dataset) -> dict[int, str]:
    """What the outputs that labels speak of are called, as far as classes have names."""
    if isinstance(dataset, Aligned):
        return dict(zip(dataset.outputs.tolist(), map(str, dataset.whole.classes or ()), strict=False))
    return dict(enumerate(map(str, dataset.classes or ())))


class Arrays(Dataset):
    """A dataset in memory: one tensor for each leaf and target."""

    def __init__(
        self,
        leaves: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        *,
        fields: Mapping[str, Field],
        target_fields: Mapping[str, Field],
        classes: Sequence[str] | None = None,
        valid: Valid | None = None,
        sizes: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        lengths = {name: len(values) for name, values in {**leaves, **targets}.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"leaves and targets must have one length, got {lengths}")
        if set(leaves) != set(fields) or set(targets) != set(target_fields):
            raise ValueError(f"every leaf and target needs a field, got {sorted(fields)} and {sorted(target_fields)}")
        self.leaves = dict(leaves)
        self.target_values = dict(targets)
        self.fields = dict(fields)
        self.targets = dict(target_fields)
        self.classes = classes
        self.valid = valid
        self.sizes = dict(sizes or {})

    def __len__(self) -> int:
        return len(next(iter(self.leaves.values())))

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """Rows of the tensors; targets that stand on the grid of a leaf are brought to the canvas with it."""
        index = torch.as_tensor(list(indices), dtype=torch.int64)
        leaves = {name: values[index] for name, values in self.leaves.items()}
        targets = {name: values[index] for name, values in self.target_values.items()}
        return Batch(*brought(leaves, targets, canvas, fields=self.fields, target_fields=self.targets))

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored | None:
        """Rows of the tensors; None of a class that makes its batches in a way of its own."""
        if type(self).batch is not Arrays.batch:
            return None
        found = self.batch(indices, canvas=canvas)
        return Stored(found.leaves, found.targets)

    def labels_at_hand(self, target: str) -> np.ndarray:
        """All of them."""
        found: np.ndarray = self.target_values[target].numpy()
        return found

    def digest(self) -> str:
        """Of every tensor's bytes, with names, dtypes and shapes."""
        digest = hashlib.sha256()
        for name, values in [*sorted(self.leaves.items()), *sorted(self.target_values.items())]:
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}\0".encode())
            digest.update(values.contiguous().numpy().tobytes())
        return digest.hexdigest()
