"""Values of an image's plane, in pixels of its frame: flow, boxes about objects, named points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

from symbench.algebra.fields.base import Value
from symbench.algebra.fields.values import Vector

NUMBERS = 6
"""Of a box: its left, top, right and bottom edge, its score and its class."""


@dataclass(frozen=True)
class Flow(Vector):
    """A displacement ``(2,)`` in pixels, x to the right and y *down*, as optical flow has it."""

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Two components."""
        return None if shape and shape[0] == 2 else "a flow has 2 components, before its grid"


@dataclass(frozen=True)
class Framed(Value):
    """A value in pixels of a frame, x to the right and y down.

    Attributes:
        frame: height and width of the image that it belongs to; None where that is the one that the symmetry is on.
    """

    in_units_of_a_frame: ClassVar[bool] = True
    frame: tuple[int, int] | None = field(default=None, kw_only=True)

    def in_frame(self, shape: Sequence[int]) -> Self:
        """In the frame of an image of this shape, unless it has one of its own."""
        if self.frame is not None or len(shape) < 2:
            return self
        return replace(self, frame=(int(shape[-2]), int(shape[-1])))


@dataclass(frozen=True)
class Boxes(Framed):
    """Axis-parallel boxes about the objects of an image, ``(most, 6)``: left, top, right, bottom, score and class.

    Edges are in pixels from the corner of the frame, so that pixel ``(r, c)`` is the square from ``(c, r)`` to
    ``(c + 1, r + 1)``. A row of class -1 is no object; such rows stand last. Labels have score 1.

    Attributes:
        classes: how many classes of objects there are; None where that is not known.
        threshold: the score from which on a detection counts as one, where outputs are compared with one another.
            Average precision looks at all.
        hull: oblique turns, which leave no box parallel to the axes, give the box about the turned one.
        most: how many rows there are of a detector that returns as many as it finds.
        first: the number that such a detector has for the first class: 1 where 0 is the background.
    """

    unordered: ClassVar[bool] = True
    classes: int | None = None
    threshold: float = 0.5
    hull: bool = False
    most: int = 100
    first: int = 0

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Six numbers for each of some rows."""
        fits = len(shape) == 2 and shape[-1] == NUMBERS
        return None if fits else "boxes have 6 numbers each: left, top, right, bottom, score and class, (most, 6)"

    @property
    def some_shape(self) -> tuple[int, ...]:
        """As many rows as there may be."""
        return self.most, NUMBERS


@dataclass(frozen=True)
class Keypoints(Framed):
    """Named points of an image, such as joints, ``(joints, 2)`` or ``(joints, 3)``: x, y and whether it is visible.

    Attributes:
        pairs: the numbers of those that a mirror exchanges, such as the left and the right wrist.
        origin: where the first pixel's centre is: ``corner``, at (0.5, 0.5), or ``centre``, at (0, 0).
    """

    pairs: tuple[tuple[int, int], ...] = ()
    origin: Literal["corner", "centre"] = "corner"

    def __post_init__(self) -> None:
        named = [joint for pair in self.pairs for joint in pair]
        if len(set(named)) != len(named) or any(joint < 0 for joint in named):
            raise ValueError(f"{self.pairs}: pairs of different joints, each of which is in one at most")

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Two or three numbers for each joint, and every pair of them there."""
        if len(shape) != 2 or shape[-1] not in (2, 3):
            return "points of an image have 2 or 3 numbers each: x, y and whether it is visible, (joints, 3)"
        last = max((joint for pair in self.pairs for joint in pair), default=-1)
        return None if last < shape[0] else f"{last + 1} joints or more, as a pair names joint {last}, counted from 0"

    @property
    def some_shape(self) -> tuple[int, ...]:
        """As many joints as the pairs name."""
        return max((joint for pair in self.pairs for joint in pair), default=0) + 1, 2
