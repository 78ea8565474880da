"""Fields: the type of one leaf of a batch, which is what a group acts on.

A field is a value over places: vectors over the axis of atoms, numbers over the grid of an image. A dataset declares
one for every leaf and target that it yields, a model for every output. How a group moves a field follows from two
lookups, of the value and of each kind of places (``symbench.algebra.actions``); escnn calls this a FieldType, e3nn
Irreps. Fields are plain values and import nothing, so that a plan is checked without torch.

A tensor of a field has the axes ``(n, *axes, *value, *grid)``: samples, one axis for each :class:`Axis`, those of the
value itself, and last those of a :class:`Grid`, since images keep their channels before their pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

ANY = "*"
"""A name of places that stands for those that the symmetry moves."""


@dataclass(frozen=True)
class Places:
    """Named places that values stand at. Each kind of places is a class of its own.

    Attributes:
        name: shared by all leaves along the same places: what permutes the one permutes the others.
        kind: what actions are looked up by.
        dimensions: how many axes of a tensor they take.
        after: whether their axes stand behind those of the value.
    """

    name: str
    kind: ClassVar[str]
    after: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__dict__.get("kind", cls.__name__)

    def __str__(self) -> str:
        return self.name

    @property
    def dimensions(self) -> int:
        """One, unless a kind says otherwise."""
        return 1

    @property
    def key(self) -> str:
        """What models and handling are matched by: the kind, and more where places of one kind are not alike."""
        return self.kind


@dataclass(frozen=True)
class Axis(Places):
    """Places without geometry, such as atoms, nodes or tokens: one axis, right behind that of the samples."""


@dataclass(frozen=True)
class Grid(Places):
    """Places at equal distances in space, such as pixels: as many axes as it has dimensions, behind the value's.

    Attributes:
        size: how many dimensions of space it has.
        spacing: the distance from one place to the next along each axis, in the order of a tensor's axes; empty where
            all are alike.
    """

    size: int = 2
    spacing: tuple[float, ...] = ()
    after: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"the {self.size}-D grid {self.name!r}"

    @property
    def dimensions(self) -> int:
        """Of space."""
        return self.size

    @property
    def key(self) -> str:
        """``Grid`` of the plane, ``3-D Grid`` of space: nothing made for the one is for the other."""
        return self.kind if self.size == 2 else f"{self.size}-D {self.kind}"


class Field(ABC):
    """A value over places. :class:`Value` is one over no places at all, :class:`Over` one over some.

    Attributes:
        value: what stands at each place.
        places: outermost first.
    """

    @property
    @abstractmethod
    def value(self) -> Value:
        """What stands at each place."""

    @property
    def places(self) -> tuple[Places, ...]:
        """Where values stand, outermost first."""
        return ()

    @property
    def key(self) -> str:
        """The kinds of value and places: what a built-in model is matched by, since names of places do not matter."""
        kinds = ", ".join(each.key for each in self.places)
        return f"{self.value.kind} over {kinds}" if kinds else self.value.kind

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of its places."""
        return tuple(each.name for each in self.places)

    @property
    def before(self) -> int:
        """How many axes of a tensor stand between that of the samples and those of the value."""
        return sum(each.dimensions for each in self.places if not each.after)

    @property
    def behind(self) -> int:
        """How many axes of a tensor stand behind those of the value."""
        return sum(each.dimensions for each in self.places if each.after)

    def lengths(self, shape: Sequence[int]) -> list[tuple[str, int | None]]:
        """Each axis in front of the value with its number of places, of one sample's shape; None where that ends."""
        found: list[tuple[str, int | None]] = []
        for number, each in enumerate(places for places in self.places if not places.after):
            found.append((each.name, shape[number] if number < len(shape) else None))
        return found

    def value_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """What is left at each place of the shape of one sample."""
        return tuple(shape[self.before : len(shape) - self.behind])

    def grid_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """How many places the grid has along each axis, of one sample's shape; empty where there is no grid."""
        return tuple(shape[len(shape) - self.behind :]) if self.behind else ()

    @property
    def grid(self) -> Grid | None:
        """The grid that it stands on, if it does."""
        return next((each for each in self.places if isinstance(each, Grid)), None)

    @property
    def is_invariant(self) -> bool:
        """Whether no group moves it: a value that none moves, at no places."""
        return not self.places and self.value.invariant

    def over(self, *places: Places) -> Field:
        """The same values over these places, outside of those that there are already."""
        return Over(self.value, (*places, *self.places))

    def framed(self, shape: Sequence[int]) -> Field:
        """The same in pixels of an image of this shape, where it is in those of some image without a frame."""
        return self

    def named(self, name: str) -> Field:
        """The same with :data:`ANY` places called by a name."""
        if ANY not in self.axes:
            return self
        return Over(self.value, tuple(_renamed(each, name) for each in self.places))


def _renamed(places: Places, name: str) -> Places:
    return type(places)(**{**vars(places), "name": name}) if places.name == ANY else places


@dataclass(frozen=True)
class Value(Field):
    """What stands at one place. Each kind of value is a class of its own; ``unit`` travels to the estimates.

    Attributes:
        unit: of its numbers, such as ``eV``; None where they have none, or it is not known.
        per: of an extensive quantity, such as an energy, the axis with whose number of places it grows.
        kind: what actions are looked up by.
        invariant: whether no group whatsoever moves it.
        names: its whole numbers name classes, of which there is no mean.
        refers: the names of axes whose places its numbers are.
        unordered: whether it is a set of objects, rows in any order, which have no differences and no mean.
        in_units_of_a_frame: whether its numbers change with the size of an image that they are of.
    """

    unit: str | None = field(default=None, kw_only=True)
    per: str | None = field(default=None, kw_only=True)
    kind: ClassVar[str] = "Value"
    invariant: ClassVar[bool] = False
    unordered: ClassVar[bool] = False
    in_units_of_a_frame: ClassVar[bool] = False
    names: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__dict__.get("kind", cls.__name__)

    def __str__(self) -> str:
        return self.kind

    @property
    def value(self) -> Value:
        """Itself."""
        return self

    @property
    def refers(self) -> tuple[str, ...]:
        """None, unless a kind says otherwise."""
        return ()

    def framed(self, shape: Sequence[int]) -> Value:
        """See :meth:`in_frame`."""
        return self.in_frame(shape)

    def in_frame(self, shape: Sequence[int]) -> Self:
        """The same in pixels of an image of this shape, where it is in those of some image; itself where not."""
        del shape
        return self

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Why numbers with these axes at each place are no such value; None if they can be."""
        del shape
        return None

    @property
    def some_shape(self) -> tuple[int, ...] | None:
        """A shape that it may have, by which it is known before there is any whether it moves; None: not known."""
        return None


@dataclass(frozen=True)
class Over(Field):
    """A value over places."""

    of: Value
    at: tuple[Places, ...]

    @property
    def value(self) -> Value:
        """What stands at each place."""
        return self.of

    @property
    def places(self) -> tuple[Places, ...]:
        """Outermost first."""
        return self.at

    def framed(self, shape: Sequence[int]) -> Over:
        """With the value in pixels of an image of this shape."""
        return replace(self, of=self.of.in_frame(shape))

    def __str__(self) -> str:
        return f"{self.of} over {', '.join(map(str, self.at))}"


def mask_of(axis: str) -> str:
    """What the leaf is called that says which places of an axis are real."""
    return f"{axis}_mask"


def same_places(fields: Iterable[Field]) -> tuple[str, ...]:
    """The names of all places of some fields, each once, in their order."""
    return tuple(dict.fromkeys(name for each in fields for name in each.axes))
