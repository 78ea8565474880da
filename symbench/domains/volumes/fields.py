"""What declarations in code call the field of a volume. Needs no torch."""

from __future__ import annotations

from symbench.algebra.fields import Category, Field, Grid, Scalar

NAME = "volume"
"""Of the places of volumes, which leaves, outputs and targets share."""


def Volume(spacing: tuple[float, ...] = ()) -> Field:  # noqa: N802  (reads as a type in declarations)
    """Numbers over a grid of space, ``(n, c, d, h, w)``: intensities as inputs, any maps of that shape as outputs.

    x is to the right, along w; y is upwards, so that rows h are counted downwards as those of images are; and z rises
    along d. Spacing is that of d, h and w, in any unit; empty where they are alike.

    Raises:
        ValueError: spacing is not of three axes, or not above 0.
    """
    if spacing and (len(spacing) != 3 or not all(each > 0 for each in spacing)):
        raise ValueError(f"got spacing {spacing}, expected three distances above 0, of d, h and w")
    return Scalar().over(Grid(NAME, 3, tuple(spacing)))


def labels_of(classes: int | None, spacing: tuple[float, ...] = ()) -> Field:
    """A class at each place of a volume, int64 ``(n, d, h, w)``; -1 is no class, and counts nowhere."""
    return Category(classes).over(Grid(NAME, 3, tuple(spacing)))
