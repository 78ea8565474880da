"""Whether the targets of users' data are what their fields declare: on places that there are, of the right size, with
classes that there are and boxes in their frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from symbench.algebra.fields import Boxes, Category, Classes, Field
from symbench.algebra.objects import CLASS, EDGES
from symbench.base.errors import ConfigError, DataError, Problem, one_of
from symbench.domains.common.datasets.base import Arrays, Dataset
from symbench.domains.common.handling import handling_of

SLACK = 1e-3
"""Pixels by which rounding takes edges beyond the frame."""


def check_declared(dataset: Dataset, where: str) -> None:
    """Refuse targets that cannot be what their fields say, as far as the first sample shows it.

    Of arrays in memory all values are looked at; of all else, those of each batch where they are measured.

    Raises:
        ConfigError: a target stands on a grid that no leaf has, or its first map has another shape than its leaf.
        DataError: as :func:`check_values`.
    """
    maps = {name: field for name, field in dataset.targets.items() if field.grid is not None}
    known = dict.fromkeys(each.grid.name for each in dataset.fields.values() if each.grid is not None)
    for name, field in maps.items():
        if field.grid is not None and field.grid.name not in known:
            got = f"target {name!r} stands on the grid {field.grid.name!r}, which no leaf has"
            expected = f"the grid of a leaf: {one_of(map(repr, known)) or 'there is none'}"
            raise ConfigError(Problem(where, got, expected))
    named = [name for name, field in maps.items() if field.value.names]
    first = next((index for index in range(len(dataset)) if index not in dataset.unusable), None) if named else None
    if first is not None:
        batch = dataset.batch([first])
        for name in named:
            _check_map(dataset, name, batch.targets[name], batch.leaves, first, where)
    if isinstance(dataset, Arrays) and type(dataset).batch is Arrays.batch:
        for name, values in dataset.target_values.items():
            check_values(
                dataset.targets[name],
                torch.as_tensor(values),
                frame_of(dataset.fields, dataset.leaves),
                range(len(values)),
                f"{where}, target {name!r}",
            )


def _check_map(
    dataset: Dataset, name: str, target: Tensor, leaves: Mapping[str, Tensor], sample: int, where: str
) -> None:
    """Refuse a first map ``(1, *grid)`` of classes that is none, or of another size than the leaf on its grid."""
    field = dataset.targets[name]
    leaf = next(leaf for leaf, each in dataset.fields.items() if _on(each) and _on(each) == _on(field))
    shape, size = tuple(target.shape[1:]), dataset.fields[leaf].grid_shape(tuple(leaves[leaf].shape[1:]))
    called, noun = f"target {name!r} of sample {sample}", handling_of(dataset.fields[leaf]).noun
    if len(shape) != field.before + field.behind:
        expected = f"a class index for each of its {_times(size)} {noun}, {size}"
        raise ConfigError(
            Problem(where, f"{called} has shape {shape}", expected, "Colours and scores are no classes: number them.")
        )
    if field.grid_shape(shape) != size:
        got = f"{called} has {_times(field.grid_shape(shape))} {noun}, and its leaf {leaf!r} {_times(size)}"
        raise ConfigError(Problem(where, got, "one size", "Draw it anew, or take the sample out."))


def _on(field: Field) -> str | None:
    """The name of its grid."""
    return None if field.grid is None else field.grid.name


def frame_of(fields: Mapping[str, Field], leaves: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """Height and width of the images that samples consist of; None where there are none, or several sizes."""
    flat = [name for name, field in fields.items() if name in leaves and field.grid and field.grid.dimensions == 2]
    sizes = {fields[name].grid_shape(tuple(leaves[name].shape[1:])) for name in flat}
    if len(sizes) != 1:
        return None
    height, width = sizes.pop()
    return height, width


def check_values(
    field: Field, target: Tensor, frame: tuple[int, int] | None, samples: Sequence[int], where: str
) -> None:
    """Refuse classes that are not declared, and boxes that are none or not in their frame.

    Args:
        field: of the target.
        target: ``(n, ...)``.
        frame: height and width of the images; None where they are not known.
        samples: the index of each.
        where: the dataset and the target, for messages.

    Raises:
        DataError: with the first of them.
    """
    if isinstance(field.value, Boxes) and not field.places:
        _check_boxes(field.value, target, field.value.frame or frame, samples, where)
    elif isinstance(field.value, (Category, Classes)):
        _check_classes(field.value.classes, target, samples, where)


def _check_classes(classes: int | None, values: Tensor, samples: Sequence[int], where: str) -> None:
    """Refuse numbers ``(n, ...)`` beyond as many classes as are declared."""
    beyond = torch.zeros(()) if classes is None else values >= classes
    if beyond.any():
        at = int(beyond.reshape(len(values), -1).any(1).nonzero()[0])
        got = f"sample {samples[at]} has class {values[at][beyond[at]].reshape(-1)[0].item():g}"
        expected = f"0 to {(classes or 0) - 1}, as {classes} classes are declared"
        raise DataError(Problem(where, got, expected, "Declare as many as there are; -1 is for what counts nowhere."))


def _check_boxes(
    value: Boxes, rows: Tensor, frame: tuple[int, int] | None, samples: Sequence[int], where: str
) -> None:
    """Refuse rows ``(n, most, 6)`` of classes that are not declared, inverted ones, and those beyond the frame."""
    if rows.ndim != 3 or value.misfit(tuple(rows.shape[1:])) is not None:
        return  # what they are compared for says so
    _check_classes(value.classes, rows[..., CLASS], samples, where)
    left, top, right, bottom = rows[..., EDGES].double().unbind(-1)
    there = rows[..., CLASS] >= 0
    # Written so that NaN is neither. A box without area is no object, and may stand where padding does.
    _refuse(there & ~((left <= right) & (top <= bottom)), rows, samples, where, "left < right and top < bottom")
    if frame is not None:
        height, width = frame
        inside = (left >= -SLACK) & (top >= -SLACK) & (right <= width + SLACK) & (bottom <= height + SLACK)
        _refuse(there & ~inside, rows, samples, where, f"one in its frame, {width} wide and {height} high")


def _refuse(wrong: Tensor, rows: Tensor, samples: Sequence[int], where: str, expected: str) -> None:
    """Refuse the first of the boxes that are wrong."""
    if wrong.any():
        sample, number = wrong.nonzero()[0].tolist()
        edges = ", ".join(f"{edge:g}" for edge in rows[sample, number, EDGES].tolist())
        got = f"object {number} of sample {samples[sample]} has the box {edges}"
        raise DataError(
            Problem(where, got, expected, "Edges are left, top, right and bottom, from the corner: mend it.")
        )


def _times(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))
