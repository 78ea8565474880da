"""Samples with places in different numbers: padded to one size, with a mask for each axis of those that are real."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from symbench.algebra.fields import Axis, Field, Index, Mask, mask_of
from symbench.base.errors import ConfigError, Problem, one_of
from symbench.base.slices import slices
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.stored import Stored

CHUNK = 1024


class Padded(Dataset):
    """A dataset whose ``sizes`` say how many places each sample has: a leaf is added for each axis, its mask.

    Attributes:
        sizes: by the axis, how many places each sample has; all leaves along it are padded to one size.
    """

    def __init__(self, whole: Dataset) -> None:
        self.whole = whole
        self.sizes = {axis: [int(size) for size in sizes] for axis, sizes in whole.sizes.items()}
        masks: dict[str, Field] = {mask_of(axis): Mask().over(Axis(axis)) for axis in self.sizes}
        self.fields, self.targets = {**whole.fields, **masks}, whole.targets
        self.classes, self.valid = whole.classes, whole.valid
        self.unusable, self.occurring, self.fixed = whole.unusable, whole.occurring, whole.fixed
        shapes = whole.shapes()
        lengths = (each for leaf, field in whole.fields.items() for each in field.lengths(shapes[leaf]))
        self._widths = {axis: int(width or 0) for axis, width in lengths}

    def __len__(self) -> int:
        return len(self.whole)

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """The whole dataset's batch, with the masks."""
        found = self.whole.batch(indices, canvas=canvas)
        return Batch({**found.leaves, **self._masks(indices)}, found.targets)

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored | None:
        """The whole dataset's, with the masks."""
        found = self.whole.stored(indices, canvas=canvas)
        return None if found is None else replace(found, leaves={**found.leaves, **self._masks(indices)})

    def _masks(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Which places of these samples are real, ``(n, places)``, for each axis."""
        return {
            mask_of(axis): torch.arange(self._widths[axis]) < torch.tensor([sizes[i] for i in indices])[:, None]
            for axis, sizes in self.sizes.items()
        }

    def digest(self) -> str:
        """The whole dataset's, and the sizes."""
        text = "\0".join([self.whole.digest(), *(f"{axis} {sizes}" for axis, sizes in sorted(self.sizes.items()))])
        return hashlib.sha256(text.encode()).hexdigest()

    def pending(self, indices: Sequence[int], canvases: Sequence[Canvas | None]) -> int:
        """The whole dataset's."""
        return self.whole.pending(indices, canvases)

    def remarks(self) -> list[str]:
        """The whole dataset's."""
        return self.whole.remarks()


def checked(dataset: Dataset, where: str) -> Dataset:
    """A dataset with masks, where its samples have places in different numbers, and nothing out of range.

    Raises:
        ConfigError: sizes for an axis that no leaf has, or beyond the padding, or of another number of samples; an
            index of a place that there is not.
    """
    fields = dataset.fields.values()
    known = dict.fromkeys(places.name for field in fields for places in field.places if not places.after)
    for axis in known:
        if mask_of(axis) in dataset.fields:
            got = f"has a leaf {mask_of(axis)!r}, which is what the mask of {axis!r} will be called"
            raise ConfigError(Problem(where, got, "sizes, from which it is made", "Call the leaf something else."))
    for axis, sizes in dataset.sizes.items():
        if not hasattr(sizes, "__len__"):
            got = f"sizes of the axis {axis!r} are a {type(sizes).__name__}"
            raise ConfigError(Problem(where, got, "a whole number for each sample"))
        if axis not in known:
            expected = f"an axis of a leaf: {one_of(map(repr, known))}"
            raise ConfigError(Problem(where, f"sizes are given for the axis {axis!r}", expected))
        if len(sizes) != len(dataset):
            got = f"sizes of the axis {axis!r} are given for {len(sizes)} samples"
            raise ConfigError(Problem(where, got, f"one for each of {len(dataset)}"))
    _check_sizes(dataset, where)
    padded = Padded(dataset) if dataset.sizes else dataset
    if any(isinstance(field.value, Index) for field in dataset.fields.values()):
        _check_indices(padded, where)
    return padded


def _check_sizes(dataset: Dataset, where: str) -> None:
    """Refuse sizes beyond what leaves are padded to, and leaves along one axis that are padded to several."""
    widths: dict[str, tuple[int, str]] = {}
    along = {leaf: field for leaf, field in dataset.fields.items() if field.before}
    shapes = dataset.shapes() if along else {}
    for leaf, field in along.items():
        for axis, length in field.lengths(shapes[leaf]):
            if length is None:
                got = f"leaf {leaf!r} is declared as {field} and has shape (n, {', '.join(map(str, shapes[leaf]))})"
                raise ConfigError(Problem(where, got, f"an axis of {axis}"))
            width, other = widths.setdefault(axis, (length, leaf))
            if width != length:
                got = f"{leaf!r} has {length} {axis} and {other!r} has {width}"
                raise ConfigError(Problem(where, got, "leaves along one axis of one size"))
    for axis, sizes in dataset.sizes.items():
        for sample, size in enumerate(sizes):
            if not 0 < int(size) <= widths[axis][0]:
                got = f"sample {sample} has {int(size)} {axis}, and leaves are padded to {widths[axis][0]}"
                raise ConfigError(Problem(where, got, f"1 to {widths[axis][0]}"))


def _check_indices(dataset: Dataset, where: str) -> None:
    """Refuse indices of places that a sample has not; on padding -1, or any that it has."""
    for some in slices(len(dataset), CHUNK):
        indices = range(some.start, some.stop)
        leaves = dataset.batch(indices).leaves
        for leaf, field in dataset.fields.items():
            if isinstance(field.value, Index):
                _check_leaf(dataset, leaf, field.value.axis, leaves, indices, where)


def _check_leaf(
    dataset: Dataset, leaf: str, axis: str, leaves: Mapping[str, Tensor], indices: Sequence[int], where: str
) -> None:
    x = leaves[leaf]
    if x.is_floating_point():
        raise ConfigError(Problem(where, f"leaf {leaf!r} of indices is {x.dtype}", "whole numbers"))
    sizes = _sizes(dataset, axis, leaves, indices)
    if sizes is None:
        axes = one_of(sorted({repr(name) for field in dataset.fields.values() for name in field.axes}))
        raise ConfigError(Problem(where, f"leaf {leaf!r} holds indices of the axis {axis!r}", f"an axis: {axes}"))
    beyond = ((x >= sizes.view(-1, *(1,) * (x.ndim - 1))) | (x < -1)).flatten(1)
    if beyond.any():
        row = int(beyond.any(1).nonzero()[0])
        value = int(x[row].flatten()[beyond[row]][0])
        got = f"leaf {leaf!r} of sample {indices[row]} names {axis} {value}"
        raise ConfigError(Problem(where, got, f"0 to {int(sizes[row]) - 1}, or -1 for none"))


def _sizes(dataset: Dataset, axis: str, leaves: Mapping[str, Tensor], indices: Sequence[int]) -> Tensor | None:
    """How many places of an axis each sample has; None where no leaf has it."""
    if axis in dataset.sizes:
        return torch.tensor([int(dataset.sizes[axis][i]) for i in indices])
    for name, field in dataset.fields.items():
        length = dict(field.lengths(leaves[name].shape[1:])).get(axis)
        if length is not None:
            return torch.full((len(indices),), length)
    return None
