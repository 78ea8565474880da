"""Outlines of objects to the pixels inside: polygons, and runs of pixels as COCO stores them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def inside(polygon: Sequence[float], height: int, width: int) -> np.ndarray:
    """The pixels whose centres are inside a polygon, bool ``(h, w)``.

    Args:
        polygon: ``x0, y0, x1, y1, ...`` in pixels from the corner of the frame; where it crosses itself, what is
            inside twice is outside.
        height: of the frame.
        width: of the frame.
    """
    points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
    crossings = np.zeros((height, width + 1), dtype=np.int64)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = sorted((y0, y1))
        # Rows whose centre r + 1/2 lies in [low, high): half-open, so that two edges at one corner count it once.
        first, last = np.ceil(np.clip((low - 0.5, high - 0.5), 0, height)).astype(np.int64)
        rows = np.arange(first, last)
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            # Each edge turns over all pixels whose centre c + 1/2 is to the right of it.
            np.add.at(crossings, (rows, np.ceil(np.clip(x - 0.5, 0, width)).astype(np.int64)), 1)
    found: np.ndarray = crossings.cumsum(axis=1)[:, :width] % 2 == 1
    return found


def of_runs(counts: Sequence[int], height: int, width: int) -> np.ndarray:
    """The mask ``(h, w)`` of runs, column by column, of pixels outside and inside by turns.

    Raises:
        ValueError: they are not as many as the frame has pixels.
    """
    lengths = np.asarray(counts, dtype=np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"its runs make {int(lengths.sum()):,} pixels, and the image has {height * width:,}")
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return flat.reshape(width, height).T


def counts_of(text: str) -> list[int]:
    """The runs of COCO's compressed form: 5 bits a character, from the third on as differences to the last but one.

    Raises:
        ValueError: a character that is none of it, or an end amid a number.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"its runs hold {letter!r}")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("its runs end amid a number")
    return counts


def mask_of(outline: Any, height: int, width: int) -> np.ndarray:
    """The pixels of an object by its ``segmentation``, bool ``(h, w)``.

    Args:
        outline: a list of polygons, or ``{counts: ..., size: [h, w]}``.
        height: of its image.
        width: of its image.

    Raises:
        ValueError: it is neither, or of an image of another size.
    """
    if isinstance(outline, dict) and {"counts", "size"} <= outline.keys():
        counts, size = outline["counts"], outline["size"]
        if not isinstance(size, list) or not (isinstance(counts, str) or _are_runs(counts)):
            raise ValueError("its runs are neither whole numbers nor COCO's characters, or have no size [h, w]")
        if size != [height, width]:
            got = " x ".join(map(str, reversed(size)))
            raise ValueError(f"its mask has {got} pixels, and the image {width} x {height}")
        return of_runs(counts_of(counts) if isinstance(counts, str) else counts, height, width)
    if not isinstance(outline, list) or not all(_is_polygon(each) for each in outline):
        raise ValueError("its segmentation is neither polygons of 3 corners and more nor runs")
    found = np.zeros((height, width), dtype=np.bool_)
    for polygon in outline:
        found |= inside(polygon, height, width)
    return found


def _are_runs(counts: Any) -> bool:
    return isinstance(counts, list) and all(isinstance(run, int) and abs(run) < 2**31 for run in counts)


def _is_polygon(each: Any) -> bool:
    numbers = isinstance(each, list) and all(isinstance(x, (int, float)) for x in each)
    return numbers and len(each) >= 6 and len(each) % 2 == 0 and bool(np.isfinite(each).all())
