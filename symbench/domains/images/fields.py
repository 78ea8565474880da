"""What declarations in code call the field of an image. Needs no torch."""

from __future__ import annotations

from symbench.algebra.fields import Axis, Field, Grid, Scalar


def Image() -> Field:  # noqa: N802  (reads as a type in declarations)
    """Numbers over a grid, ``(n, c, h, w)``: pixels in [0, 1] as inputs, any maps of that shape as outputs."""
    return Scalar().over(Grid("image"))


def Video() -> Field:  # noqa: N802  (reads as a type in declarations)
    """An image at each of some frames, ``(n, frames, c, h, w)``: what moves images moves every frame alike."""
    return Image().over(Axis("frames"))
