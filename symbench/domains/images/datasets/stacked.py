"""Targets in arrays that stand on the images of another: label maps, boxes, joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.fields import Boxes, Category, Field, Grid, Keypoints
from symbench.base.errors import ConfigError, Problem
from symbench.base.slices import slices
from symbench.domains.common.canvas import Canvas
from symbench.domains.images.datasets.following import NO_OBJECT, followed
from symbench.domains.images.datasets.objects import checked
from symbench.domains.images.datasets.standing import classes_of

AT_ONCE = 256
"""Maps that are looked at together."""


@dataclass(frozen=True)
class Stacked:
    """One target of all images.

    Attributes:
        name: of the target.
        field: likewise.
        values: ``(n, ...)``; maps as they are stored, mapped from the file, all else as the target has it.
        classes: of a map.
        ignored: the number of places of a map that count nowhere.
    """

    name: str
    field: Field
    values: np.ndarray
    classes: int | None = None
    ignored: int | None = None

    def batch(self, rows: np.ndarray, size: tuple[int, int], canvas: Canvas | None, where: str) -> Tensor:
        """The target of the samples with these indices, on a canvas.

        Raises:
            DataError: a map holds what is no class.
        """
        some = np.array(self.values[rows])
        if self.field.places:
            some = classes_of(some, self.classes, self.ignored, where)
        return followed(self.field, torch.from_numpy(some), size, canvas)


def maps_of(
    labels: np.ndarray, size: tuple[int, int], *, classes: Sequence[str] | None, ignored: int | None, where: str
) -> Stacked:
    """Labels ``(n, h, w)`` of whole numbers as maps. Where classes have no names, all are looked at to count them.

    Raises:
        ConfigError: they are not of their images' size, or no whole numbers.
    """
    whole = np.issubdtype(labels.dtype, np.integer) or labels.dtype == np.bool_
    if not whole or labels.shape[1:] != size:
        got = f"labels are {labels.dtype} of shape {labels.shape}, of images of {size[0]} x {size[1]} pixels"
        raise ConfigError(Problem(where, got, f"whole numbers ({len(labels)}, {size[0]}, {size[1]})"))
    count = len(classes) if classes else 0
    for part in slices(len(labels), AT_ONCE) if not count else ():
        some = labels[part]
        count = max(count, 1 + int(some[some != (-1 if ignored is None else ignored)].max(initial=0)))
    return Stacked("masks", Category(count).over(Grid("image")), labels, count, ignored)


def boxes_of(rows: np.ndarray, size: tuple[int, int], *, classes: Sequence[str] | None, where: str) -> Stacked:
    """Boxes ``(n, most, 5)``, left, top, right, bottom and class, or ``(n, most, 6)`` with a score before the class.

    Raises:
        ConfigError: they are of another shape, or one is none or not in its image.
    """
    if rows.ndim != 3 or rows.shape[2] not in (5, 6):
        got = f"boxes are {rows.dtype} of shape {rows.shape}"
        raise ConfigError(Problem(where, got, "(n, most, 5): left, top, right, bottom, and class, -1 for no object"))
    found = np.tile(np.asarray(NO_OBJECT), (*rows.shape[:2], 1))
    most = -1
    for index, some in enumerate(rows.astype(np.float64)):
        objects = some[some[:, -1] >= 0]
        for number, each in enumerate(objects):
            edges = checked(each[:4], size[::-1], f"sample {index}, object {number},", where)
            found[index, number] = [*edges, 1.0, each[-1]]
        most = max(most, *objects[:, -1].astype(np.int64), -1)
    if classes and most >= len(classes):
        raise ConfigError(
            Problem(where, f"a box is of class {most}", f"0 to {len(classes) - 1}", "Name all classes.")
        )
    return Stacked("boxes", Boxes(len(classes) if classes else most + 1), found)


def points_of(points: np.ndarray, *, pairs: Sequence[tuple[int, int]], where: str) -> Stacked:
    """Joints ``(n, joints, 2)`` or ``(n, joints, 3)``: x, y and whether each is visible, from the frame's corner.

    Raises:
        ConfigError: they are of another shape or not finite, or a pair names what is no joint.
    """
    try:
        field = Keypoints(tuple(pairs))
    except ValueError as error:
        raise ConfigError(Problem(where, f"pairs: {error}")) from error
    wrong = field.misfit(points.shape[1:])
    if wrong is not None or not np.isfinite(points).all():
        raise ConfigError(Problem(where, f"keypoints are {points.dtype} of shape {points.shape}", wrong or "finite"))
    return Stacked("keypoints", field, points.astype(np.float64))
