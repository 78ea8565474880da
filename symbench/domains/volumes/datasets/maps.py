"""Label maps of volumes: a class at each place, or none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from symbench.algebra.statistics import Array
from symbench.base.errors import Problem, SymbenchError

IGNORED = -1
"""What stands where a place has no class."""


def class_map(
    values: Array, sides: Sequence[int], ignore: int | None, where: str, error: type[SymbenchError]
) -> Array:
    """Labels ``(..., d, h, w)`` as int64, -1 where a place has no class.

    Args:
        values: as they are kept; floats may be whole numbers, as many programs write them.
        sides: d, h and w of the volume.
        ignore: the number that stands where there is no class.
        where: what messages call them.
        error: what is raised.

    Raises:
        SymbenchError: of the class ``error``: they are of another shape than their volume, or no class indices.
    """
    if tuple(values.shape[-3:]) != tuple(sides):
        got = f"label maps are of {written(values.shape[-3:])} places, and their volumes of {written(sides)}"
        raise error(Problem(where, got, "a label at each place"))
    number = np.issubdtype(values.dtype, np.number) or values.dtype == np.bool_
    whole = values.astype(np.int64) if number and np.isfinite(values).all() else None
    if whole is None or not np.array_equal(whole, values):
        raise error(Problem(where, "label maps hold other numbers than whole ones", "class indices, 0 or more"))
    if ignore is not None:
        whole = np.where(whole == ignore, IGNORED, whole)
    least = int(whole.min())
    if least < IGNORED or (least == IGNORED and ignore is None):
        remedy = f"Say ignore: {least} if places of it have no class."
        raise error(Problem(where, f"got label {least}", "class indices, 0 or more", remedy))
    return whole


def written(sides: Sequence[int]) -> str:
    """``16 x 16 x 8``."""
    return " x ".join(map(str, sides))


def standardised(volumes: Array) -> Array:
    """Volumes ``(n, c, d, h, w)`` with mean 0 and standard deviation 1 in each channel; 0 where all is alike."""
    wide = volumes.astype(np.float64)
    wide = wide - wide.mean(axis=(-1, -2, -3), keepdims=True)
    spread = wide.std(axis=(-1, -2, -3), keepdims=True)
    found: Array = (wide / np.where(spread > 0, spread, 1.0)).astype(np.float32)
    return found


def sha256_of(file: Path) -> str:
    """Of a file's bytes, which need not fit into the memory."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
