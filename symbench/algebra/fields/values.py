"""The kinds of values: numbers, classes, vectors, indices, and values that bring their own representation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from symbench.algebra.fields.base import Value


@dataclass(frozen=True)
class Scalar(Value):
    """Numbers that no group moves: energies, features, channels of an image. Of any shape."""

    invariant: ClassVar[bool] = True

    def __str__(self) -> str:
        return self.kind if self.per is None else f"{self.kind} that grows with {self.per}"


@dataclass(frozen=True)
class Category(Value):
    """A class index, int64, that no group moves; as a target it makes the task a classification.

    Over a grid it is a map of classes, in which -1 is a place that counts nowhere.
    """

    classes: int | None = None
    invariant: ClassVar[bool] = True
    names: ClassVar[bool] = True


@dataclass(frozen=True)
class MultiLabel(Value):
    """0 or 1 for each of several labels ``(labels,)``, that no group moves; as a target, a multi-label task."""

    labels: int | None = None
    invariant: ClassVar[bool] = True


@dataclass(frozen=True)
class Logits(Value):
    """Unnormalised scores: of each class, ``(classes,)``; of the second of two, a number; or of each label."""

    invariant: ClassVar[bool] = True


@dataclass(frozen=True)
class Probabilities(Value):
    """The same after softmax, or after a sigmoid where it is one a sample or one a label."""

    invariant: ClassVar[bool] = True


@dataclass(frozen=True)
class Embedding(Value):
    """A vector ``(d,)`` that stands for its sample among others, as contrastive learning makes them."""

    invariant: ClassVar[bool] = True


@dataclass(frozen=True)
class Undeclared(Value):
    """An output of which nothing is said: what it is follows from the targets, and from what the model returns."""

    invariant: ClassVar[bool] = True


@dataclass(frozen=True)
class Mask(Value):
    """Whether a place is real, bool: padding is False. Moved with its places alone."""

    invariant: ClassVar[bool] = True


@dataclass(frozen=True)
class Index(Value):
    """Places of the named axis, int64, of any shape: edges are two for each. Renamed by what permutes that axis.

    A negative number is no place, as padding has it, and stays as it is.
    """

    axis: str

    def __str__(self) -> str:
        return f"Index of {self.axis}"

    @property
    def refers(self) -> tuple[str, ...]:
        """The axis."""
        return (self.axis,)


@dataclass(frozen=True)
class Vector(Value):
    """A vector of space in its last axis, x to the right and y up: forces, velocities, displacements."""

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Two or three components."""
        return None if shape and shape[-1] in (2, 3) else "a vector has 2 or 3 components in its last axis"


@dataclass(frozen=True)
class PseudoVector(Vector):
    """A vector that a mirror turns round besides: a torque, a magnetic moment."""


@dataclass(frozen=True)
class Point(Vector):
    """A position, which a translation moves as well.

    Attributes:
        centre: what rotations leave where it is: the ``origin``; or, of each sample, the ``centroid`` of its places,
            or the middle of its ``cell``, a leaf of that name whose rows are the edges of a parallelepiped at the
            origin. These an input alone can have, since what a model returns turns about the input's. The middle
            that is meant is that of the cell as it was before anything turned it: there is no other that stays.
    """

    centre: Literal["origin", "centroid", "cell"] = "origin"

    def __str__(self) -> str:
        return self.kind if self.centre == "origin" else f"{self.kind} about the {self.centre}"


@dataclass(frozen=True)
class Eigenvectors(Value):
    """Some eigenvectors at one place, ``(k, 2)``: the component of each, and its eigenvalue.

    Nobody can say which of v and -v an eigenvector is, nor which basis of an eigenspace is right. Eigenvalues are in
    ascending order, those of one eigenspace the same number bit for bit; where there are none left, both are 0.
    """

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Two numbers for each."""
        return None if len(shape) == 2 and shape[-1] == 2 else "eigenvectors have 2 numbers each, (k, 2)"


@dataclass(frozen=True)
class Declared(Value):
    """A value that comes with its own representation: a matrix for each generator of a finite group, by its name.

    What is said is checked to be a homomorphism, over the whole group, before any work.

    Attributes:
        generators: the matrices, by the generators' names.
        group: the group that they are declared for; None where any with such generators will do. That C2 swaps two
            classes is a representation of C4 as well, in which a quarter turn swaps them and a half turn does not.
    """

    generators: tuple[tuple[str, tuple[tuple[float, ...], ...]], ...] = ()
    group: str | None = None


@dataclass(frozen=True)
class Classes(Declared):
    """Classes that a group permutes, such as orientations, or left and right.

    As outputs these are logits ``(classes,)``, as targets a class index. See :func:`classes`.
    """

    names: ClassVar[bool] = True

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.generators[0][1]) if self.generators else 0


@dataclass(frozen=True)
class Channels(Declared):
    """Numbers ``(d,)`` that a group mixes by matrices, such as the joints of a robot. See :func:`channels`."""


def classes(order: Mapping[str, Sequence[int]], *, group: str | None = None) -> Classes:
    """Classes that a finite group permutes: for each of its generators, where it sends each class.

    ``classes({"turn": [1, 2, 3, 0]})``: what was of class 0 is of class 1 after the group's generator ``turn``. With
    ``group="C4"`` other groups with a generator of that name are refused.

    Raises:
        ValueError: not a permutation of ``0 ... n - 1``.
    """
    for name, images in order.items():
        if sorted(images) != list(range(len(images))):
            raise ValueError(f"{name}: {list(images)} is no permutation of 0 to {len(images) - 1}")
    matrices = {name: _permutation_matrix(images) for name, images in order.items()}
    return Classes(tuple(sorted(matrices.items())), group)


def channels(representation: Mapping[str, Sequence[Sequence[float]]]) -> Channels:
    """Numbers that a finite group mixes: for each of its generators, a square matrix.

    Raises:
        ValueError: a matrix that is not square.
    """
    rows = {name: tuple(tuple(float(x) for x in row) for row in m) for name, m in representation.items()}
    for name, matrix in rows.items():
        if any(len(row) != len(matrix) for row in matrix):
            raise ValueError(f"{name}: the matrix is not square")
    return Channels(tuple(sorted(rows.items())))


def _permutation_matrix(images: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    """The matrix P with ``P e_i = e_images[i]``."""
    return tuple(tuple(1.0 if images[j] == i else 0.0 for j in range(len(images))) for i in range(len(images)))
