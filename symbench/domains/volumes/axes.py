"""Axes of space as options name them. Needs no torch."""

from __future__ import annotations


def some_axes(axes: str) -> str:
    """Some of the three, each once, in their order.

    Raises:
        ValueError: anything else.
    """
    if not axes or axes != "".join(each for each in "xyz" if each in axes):
        raise ValueError("some of the axes x, y and z in this order, such as x, xz or xyz")
    return axes
