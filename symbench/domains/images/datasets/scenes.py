"""Shapes on a textured ground, with everything that can be asked of them: maps, halves, boxes, points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.fields import Boxes, Category, Classes, Field, Grid, Keypoints, classes
from symbench.algebra.statistics import Array
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.images.fields import Image

SHAPES = ("disc", "square", "triangle")
TRIANGLE = SHAPES.index("triangle")
"""The only shape with a direction, and so with a left and a right half: that of its tip."""
SMALL, LARGE = 0.3, 0.4
"""Radii of objects in sides of the cell that each stands in."""
LEVELS = 255
HALVES = {
    "D1": classes({"flip": [0, 2, 1]}, group="D1"),
    "D4": classes({"turn": [0, 1, 2], "flip": [0, 2, 1]}, group="D4"),
}
"""Ground, left and right: turns leave them what they are, and a mirror makes the left half of a figure its right."""
SIDES = ((1, 2),)
"""Of the points of a triangle (its tip, its left and its right corner) those that a mirror exchanges."""


@dataclass(frozen=True)
class Objects:
    """Those of all images, ``(n, most)`` each.

    Attributes:
        there: whether there is one.
        shape: its number in ``SHAPES``.
        centre: x and y in pixels, the first pixel's centre at 0, y down, ``(n, most, 2)``.
        radius: in pixels, about all of it.
        front: the unit vector that its tip, or a side of it, faces, ``(n, most, 2)``.
    """

    there: Array
    shape: Array
    centre: Array
    radius: Array
    front: Array

    @property
    def right(self) -> Array:
        """The unit vector to its right: for one that faces up, to the right of the image."""
        return np.stack([-self.front[..., 1], self.front[..., 0]], axis=-1)

    def ahead(self, size: int) -> tuple[Array, Array]:
        """How far each pixel is in front of an object's centre, and how far to its right, ``(n, most, h, w)``."""
        pixels = np.arange(size, dtype=np.float64)
        across = pixels - self.centre[..., :1]  # (n, most, w)
        down = pixels - self.centre[..., 1:]
        found = []
        for along in (self.front, self.right):
            x, y = along[..., :1] * across, along[..., 1:] * down
            found.append(x[..., None, :] + y[..., :, None])
        return found[0], found[1]


def load(
    *,
    split: str,
    size: int,
    samples: int,
    objects: int,
    target: str,
    pose: str,
    mirrored: bool,
    group: str,
    seed: int,
) -> Arrays:
    """Images of one to ``objects`` discs, squares and triangles, no two of which touch.

    All is drawn by additions, products and square roots alone, so that the pixels are the same on every machine.

    Args:
        split: ``train`` or ``test``, drawn from separate streams of ``seed``.
        size: pixels a side, odd or even.
        samples: how many images.
        objects: at most so many in each.
        target: ``masks``: which shape each pixel shows, 0 for the ground; ``halves``: which half of the image's only
            triangle, 1 for the left and 2 for the right as seen by who looks along its tip, and -1 for pixels on its
            very axis; ``boxes`` about the pixels of each object, with its shape; ``keypoints``: that triangle's tip,
            left and right corner, as x, y, visible; or ``all`` of them.
        pose: ``upright``: triangles point up; or ``random``: all objects are turned, by any angle.
        mirrored: each image is its own mirror image, its objects one above the other.
        group: for which halves are declared to be exchanged, ``D1`` or ``D4``.
        seed: seeds the stream.
    """
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    directed = target not in ("masks", "boxes")
    drawn = _drawn(rng, samples, size, objects, directed, pose == "random", mirrored)
    inside = _inside(drawn, size)
    targets: dict[str, Tensor] = {}
    fields: dict[str, Field] = {}
    for name in ("masks", "halves", "boxes", "keypoints") if target == "all" else (target,):
        values, fields[name] = _target(name, drawn, inside, HALVES[group])
        targets[name] = torch.from_numpy(values)
    image = torch.from_numpy(_painted(rng, inside, mirrored)[:, None]).float() / LEVELS
    return Arrays(
        {"image": image},
        targets,
        fields={"image": Image()},
        target_fields=fields,
        classes={"halves": ("ground", "left", "right"), "boxes": SHAPES}.get(target, ("ground", *SHAPES)),
    )


def _drawn(
    rng: np.random.Generator, count: int, size: int, most: int, directed: bool, turned: bool, mirrored: bool
) -> Objects:
    """Objects in cells of their own; the first one is the only triangle where something is asked of its direction."""
    rows = most if mirrored else math.isqrt(most - 1) + 1
    columns = 1 if mirrored else rows
    there = np.arange(most) < rng.integers(1, most + 1, size=(count, 1))
    shape = rng.integers(TRIANGLE if directed else len(SHAPES), size=(count, most))
    if directed:
        shape[:, 0] = TRIANGLE
    cells = rng.permuted(np.tile(np.arange(rows * columns), (count, 1)), axis=1)[:, :most]
    side = size / rows
    radius = side * (SMALL + (LARGE - SMALL) * rng.random((count, most)))
    free = (side / 2 - 1 - radius)[..., None] * (2 * rng.random((count, most, 2)) - 1)
    centre = np.stack([cells % columns, cells // columns], axis=-1) * side + (side - 1) / 2 + free
    front = _directions(rng, count, most)
    if not turned:
        front = np.broadcast_to([0.0, -1.0], front.shape)
    if mirrored:
        centre[..., 0] = (size - 1) / 2
    return Objects(there, shape, centre, radius, front)


def _directions(rng: np.random.Generator, *shape: int) -> Array:
    """Unit vectors ``(*shape, 2)`` all round, nearly uniform: sines and cosines differ from machine to machine."""
    t = (2 * rng.random(shape) - 1) * (math.sqrt(2) - 1)  # the tangent of half an angle of at most 45 degrees
    x, y = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    quarter = rng.integers(4, size=shape)
    turned = ((x, y), (-y, x), (-x, -y), (y, -x))
    return np.stack([np.choose(quarter, [each[axis] for each in turned]) for axis in (0, 1)], axis=-1)


def _inside(drawn: Objects, size: int) -> Array:
    """Which pixels each object has, bool ``(n, most, h, w)``."""
    ahead, aside = drawn.ahead(size)
    radius, shape = drawn.radius[..., None, None], drawn.shape[..., None, None]
    disc = ahead * ahead + aside * aside <= (0.9 * radius) ** 2
    square = np.maximum(np.abs(ahead), np.abs(aside)) <= 0.75 * radius
    # from the tip, a radius ahead, to a base that is three quarters of one behind and 1.5 wide
    triangle = (ahead >= -0.75 * radius) & (np.abs(aside) * 1.75 <= 0.75 * (radius - ahead))
    found: Array = np.choose(shape, [disc, square, triangle]) & drawn.there[..., None, None]
    return found


def _corners(drawn: Objects) -> Array:
    """The tip, the left and the right corner of each image's first object, ``(n, 3, 2)``, as its centre is given."""
    front, right = drawn.front[:, 0], drawn.right[:, 0]
    centre, radius = drawn.centre[:, 0], drawn.radius[:, 0, None]
    base = centre - 0.75 * radius * front
    return np.stack([centre + radius * front, base - 0.75 * radius * right, base + 0.75 * radius * right], axis=1)


def _target(name: str, drawn: Objects, inside: Array, halves: Classes) -> tuple[Array, Field]:
    """What is asked of every image, and its field."""
    if name == "masks":
        found: Array = (inside * (drawn.shape[..., None, None] + 1)).sum(1)
        return found.astype(np.int64), Category(len(SHAPES) + 1).over(Grid("image"))
    if name == "halves":
        _, aside = drawn.ahead(inside.shape[-1])
        side = np.select([aside[:, 0] < 0, aside[:, 0] > 0], [1, 2], -1)
        return np.where(inside[:, 0], side, 0).astype(np.int64), halves.over(Grid("image"))
    if name == "boxes":
        return _boxes(drawn, inside), Boxes(len(SHAPES))
    corners = _corners(drawn) + 0.5
    return np.concatenate([corners, np.ones_like(corners[..., :1])], axis=-1), Keypoints(SIDES)


def _boxes(drawn: Objects, inside: Array) -> Array:
    """About the pixels of each object ``(n, most, 6)``: left, top, right, bottom, 1 and its shape; -1 for none."""
    size = inside.shape[-1]
    edges = []
    for axis in (-2, -1):  # over rows what there is in each column, and the other way round
        there: Array = np.asarray(inside.any(axis))
        edges.append((there.argmax(-1), size - there[..., ::-1].argmax(-1)))
    (left, right), (top, bottom) = edges
    rows = np.stack([left, top, right, bottom, np.ones_like(left), drawn.shape], axis=-1).astype(np.float64)
    return np.where(drawn.there[..., None], rows, [0.0, 0.0, 0.0, 0.0, 0.0, -1.0])


def _painted(rng: np.random.Generator, inside: Array, mirrored: bool) -> Array:
    """Levels of grey ``(n, h, w)``: a dark ground and lighter objects, both with stains and grain."""
    count, most, size, _ = inside.shape
    light = 0.6 + 0.3 * rng.random((count, most, 1, 1))
    ground = 0.15 + 0.2 * rng.random((count, 1, 1))
    stains = _stains(rng, count, size) - 0.5
    grain = rng.random((count, size, size)) - 0.5
    if mirrored:
        stains, grain = (stains + stains[..., ::-1]) / 2, (grain + grain[..., ::-1]) / 2
    shown = np.where(inside.any(1), (inside * light).sum(1), ground) + 0.25 * stains + 0.12 * grain
    found: Array = np.rint(LEVELS * shown.clip(0, 1))
    return found


def _stains(rng: np.random.Generator, count: int, size: int, coarse: int = 6) -> Array:
    """Numbers in [0, 1] at a few places, and straight lines between them, ``(count, size, size)``."""
    values = rng.random((count, coarse, coarse))
    at = np.arange(size) * (coarse - 1) / size
    first = at.astype(np.int64)
    share = at - first
    across = values[..., first] * (1 - share) + values[..., first + 1] * share
    found: Array = across[:, first] * (1 - share)[:, None] + across[:, first + 1] * share[:, None]
    return found
