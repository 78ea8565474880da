"""What a suite says of a model's outputs: a word, or a value with what it needs and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag, field_validator, model_validator
from pydantic import Field as Limits
from pydantic_core import PydanticCustomError, PydanticKnownError

from symbench.algebra.fields import ANY, CLASSES, OUTPUTS, PARTS, Field, Places, spelt
from symbench.base.registry import Options

OUTPUT_NAME = r"^[A-Za-z_]\w{0,63}$"
WHOLE = ("boxes", "keypoints")
"""Values that belong to a whole image, and stand at no places."""


def _wrong(expected: str) -> PydanticCustomError:
    return PydanticCustomError("one_of_several", "{expected}", {"expected": expected})


def _one_of(word: object, known: Mapping[str, object]) -> object:
    """A word, one of these."""
    if word not in known:
        *some, last = map(repr, known)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(some)} or {last}"})
    return word


class OutputOf(Options):
    """An output in full: its ``value``, the leaf or axis that it stands ``over``, and what some values need.

    ``order`` says for each generator of a group where it sends every class; ``group`` refuses other groups that have
    a generator of that name. ``pairs`` are joints that a mirror exchanges; ``threshold`` is the score from which on
    a detection counts, ``hull`` allows boxes about turned ones, ``most`` is how many rows there are of a detector
    that returns as many as it finds, and ``first`` the number that it has for the first class.
    """

    value: Annotated[str, BeforeValidator(lambda word: _one_of(word, PARTS))]
    over: str | None = None
    order: dict[str, list[int]] | None = None
    group: str | None = None
    classes: Annotated[int, Limits(ge=1)] | None = None
    threshold: Annotated[float, Limits(ge=0, le=1)] | None = None
    hull: bool | None = None
    most: Annotated[int, Limits(ge=1, le=10_000)] | None = None
    first: Annotated[int, Limits(ge=0)] | None = None
    pairs: list[list[int]] | None = None
    origin: Literal["corner", "centre"] | None = None

    @field_validator("order")
    @classmethod
    def _permutes(cls, order: dict[str, list[int]] | None) -> dict[str, list[int]] | None:
        for name, images in (order or {}).items():
            if sorted(images) != list(range(len(images))):
                raise _wrong(f"where each class goes, every one once, such as {name}: [1, 2, 3, 0]")
        if order is not None and len({len(images) for images in order.values()}) != 1:
            raise _wrong("one generator or more, of as many classes each")
        return order

    @field_validator("pairs")
    @classmethod
    def _pairs(cls, pairs: list[list[int]] | None) -> list[list[int]] | None:
        named = [joint for pair in pairs or () for joint in pair]
        if any(len(pair) != 2 for pair in pairs or ()) or len(set(named)) != len(named) or any(j < 0 for j in named):
            raise _wrong("pairs of different joints, each in one at most, such as [[1, 2], [3, 4]]")
        return pairs

    @model_validator(mode="after")
    def _fits(self) -> OutputOf:
        for key in self.parts:
            if key not in PARTS[self.value]:
                takers = " or ".join(value for value, keys in PARTS.items() if key in keys)
                raise _wrong(f"{key} with value: {takers} alone")
        if self.group is not None and self.order is None:
            raise _wrong("an order beside group: where its generators send each class")
        if self.over is not None and self.value in WHOLE:
            raise _wrong(f"no over, as {self.value} are those of a whole image")
        return self

    @property
    def parts(self) -> dict[str, Any]:
        """What is said beside the value and its places."""
        return self.model_dump(exclude_none=True, exclude={"value", "over"})

    def document(self) -> dict[str, Any]:
        """What keys hold: all that was said, and nothing of what could have been."""
        return self.model_dump(exclude_none=True)

    def places(self, fields: Mapping[str, Field]) -> tuple[Places, ...] | None:
        """The places that it is over: those of the leaf of that name, or of that name themselves; None without any.

        Args:
            fields: a dataset's leaves.
        """
        leaf = fields.get(self.over or "")
        if leaf is not None and leaf.places:
            return leaf.places
        return next(((each,) for field in fields.values() for each in field.places if each.name == self.over), None)

    def field(self, fields: Mapping[str, Field]) -> Field:
        """Its field beside a dataset's leaves; where none of them has its places, it is over none."""
        value = spelt(self.value, self.parts)
        if self.over in (None, ANY):
            return value
        places = self.places(fields)
        return value if places is None else value.value.over(*places)


def _word(word: object) -> object:
    """One of the words; classes have several, and stand over something."""
    if word == CLASSES:
        raise _wrong(
            "masks for class scores of places, logits for those of whole samples, or {value: classes, over: LEAF}"
        )
    return _one_of(word, OUTPUTS)


def _kind(said: object) -> str:
    return "dict[str, Any]" if isinstance(said, (Mapping, OutputOf)) else "str"


Word = Annotated[str, BeforeValidator(_word)]
Said = Annotated[
    Annotated[Word, Tag("str")] | Annotated[OutputOf, Tag("dict[str, Any]")],
    Discriminator(_kind),
]
"""One output. The tags are what messages leave out of the keys."""
Outputs = dict[Annotated[str, Limits(pattern=OUTPUT_NAME)], Said]
"""What a model returns, by name and in order."""


def field_of(said: str | OutputOf, fields: Mapping[str, Field]) -> Field:
    """The field that a suite's word or mapping stands for, beside a dataset's leaves."""
    return said.field(fields) if isinstance(said, OutputOf) else OUTPUTS[said]


def document_of(said: str | OutputOf) -> object:
    """What keys hold of it."""
    return said.document() if isinstance(said, OutputOf) else said
