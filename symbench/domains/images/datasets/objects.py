"""Objects in pictures: their boxes, and which joints of theirs a mirror exchanges."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symbench.algebra.fields import Boxes
from symbench.base.errors import ConfigError, Problem, several
from symbench.domains.images.datasets.annotations import Rows
from symbench.domains.images.datasets.following import NO_OBJECT

SLACK = 1.0
"""Pixels by which rounding takes edges beyond the frame: such boxes are cut."""
SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
SIDE = re.compile(r"(?<![a-z])(left|right|l|r)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Thing:
    """An object of a picture.

    Attributes:
        box: left, top, right and bottom edge, in pixels from the corner of the frame.
        number: of its class.
        called: what messages call it.
        picture: what they call its picture.
    """

    box: tuple[float, float, float, float]
    number: int
    called: str
    picture: str


def boxes_of(
    things: Sequence[Sequence[Thing]],
    sizes: np.ndarray,
    classes: int,
    key: str,
    *,
    most: int | None = None,
    where: str = "boxes",
) -> Rows:
    """The boxes of every picture, as many rows for each.

    Args:
        things: of every picture.
        sizes: ``(n, 2)``, width and height of each; 0 where they are not known.
        classes: how many there are.
        key: SHA-256 of all that they follow from.
        most: rows; None for as many as the picture with the most objects needs.
        where: the suite's key, for messages.

    Raises:
        ConfigError: a box is none, or not in its picture, or there are more than ``most``.
    """
    count = max((len(some) for some in things), default=0)
    if most is not None and count > most:
        got = f"{several(count, 'object')} in {max(things, key=len)[0].picture}"
        raise ConfigError(Problem(where, got, f"at most {most}, by most:", f"Say most: {count}, or leave it out."))
    rows = [
        [[*checked(thing.box, size, thing.called, where), 1.0, float(thing.number)] for thing in some]
        for some, size in zip(things, sizes.tolist(), strict=True)
    ]
    return Rows(Boxes(classes), rows, sizes, key, most=max(1, count if most is None else most), none=NO_OBJECT)


def checked(box: Sequence[float], size: Sequence[int], called: str, where: str) -> list[float]:
    """The edges of a box, cut at those of its picture, where rounding took them beyond it.

    Args:
        box: left, top, right and bottom.
        size: width and height of the picture; 0 where it is not known.
        called: what messages call it.
        where: the suite's key, for messages.

    Raises:
        ConfigError: it has no area, or is not in the picture.
    """
    x0, y0, x1, y1 = (float(edge) for edge in box)
    shown = f"{called} has the box {', '.join(f'{edge:g}' for edge in box)}"
    if not (x1 > x0 and y1 > y0):  # written so that NaN is none
        remedy = "Left and top come first: take it out, or mend it."
        raise ConfigError(Problem(where, shown, "left < right and top < bottom", remedy))
    width, height = size
    if not width:
        return [x0, y0, x1, y1]
    if x0 < -SLACK or y0 < -SLACK or x1 > width + SLACK or y1 > height + SLACK:
        remedy = "Edges are in pixels of the file as it is: take it out, or mend it."
        raise ConfigError(Problem(where, shown, f"one in its picture of {width} x {height} pixels", remedy))
    return [max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))]


def pairs_of(joints: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The numbers of the joints that a mirror exchanges, by ``left`` and ``right`` (``l``, ``r``) in their names."""
    plain = [name.lower() for name in joints]
    other = [SIDE.sub(lambda found: SIDES[found[1]], name) for name in plain]
    numbers = {name: number for number, name in enumerate(plain)}
    both = [(number, numbers[name]) for number, name in enumerate(other) if name in numbers]
    return tuple((first, second) for first, second in both if first < second)
