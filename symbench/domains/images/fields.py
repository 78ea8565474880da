"""What declarations in code call the field of an image. Needs no torch."""

from __future__ import annotations

from symbench.algebra.fields import Field, Grid, Scalar


def Image() -> Field:  # noqa: N802  (reads as a type in declarations)
    """Numbers over a grid, ``(n, c, h, w)``: pixels in [0, 1] as inputs, any maps of that shape as outputs."""
    return Scalar().over(Grid("image"))
