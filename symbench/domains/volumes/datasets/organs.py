"""Synthetic volumes: round blobs on a noisy ground, with maps of what is inside of them."""

from __future__ import annotations

import numpy as np
import torch

from symbench.algebra.fields import Category, Field, Grid
from symbench.algebra.fields import classes as permuted
from symbench.algebra.statistics import Array
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.volumes.fields import NAME, Volume, labels_of

MOST = 3
"""Blobs of a volume."""
INSIDE = 0.5
"""Of a blob's height: where its values are above it, a place is inside."""
SIDES = ("background", "left", "right")


def load(
    *,
    split: str,
    samples: int,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float] | None,
    label: str,
    mirrors: str | None,
    symmetric: bool,
    noise: float,
    seed: int,
) -> Arrays:
    """Volumes with one to three blobs, in equal numbers, each in an octant of its own.

    Blobs are round in space whatever the distances between places are. Left is where x is below 0; the plane between
    left and right, which volumes of an odd width have places on, is of neither and ignored.

    Args:
        split: ``train`` or ``test``, drawn from separate streams of ``seed``.
        samples: how many volumes.
        shape: d, h and w.
        spacing: of these axes; None where they are alike.
        label: ``inside``, ``sides`` or ``number``.
        mirrors: which mirrors label maps are declared for, of which that of x exchanges left and right; None where
            nothing is said of that.
        symmetric: each volume is its own mirror image, from left to right.
        noise: standard deviation of normal noise at each place; blobs are 1 high.
        seed: seeds the stream.
    """
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    number = rng.permutation(samples) % MOST
    places = _places(shape, spacing or (1.0, 1.0, 1.0))
    clean = np.stack([_blobs(rng, int(count) + 1, places) for count in number])
    grainy = clean + noise * rng.normal(size=clean.shape)
    if symmetric:
        clean, grainy = (np.maximum(each, each[..., ::-1]) for each in (clean, grainy))
    target, values = _labelled(label, mirrors, clean > INSIDE, places[2], number, spacing or ())
    return Arrays(
        {"volume": torch.from_numpy(grainy[:, None]).float()},
        {"label": torch.from_numpy(values)},
        fields={"volume": Volume(spacing or ())},
        target_fields={"label": target},
        classes=_names(label),
    )


def _places(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> list[Array]:
    """Where places are along z, y and x, from the middle, each to be broadcast over ``(d, h, w)``."""
    along = [(np.arange(n) - (n - 1) / 2) * gap for n, gap in zip(shape, spacing, strict=True)]
    return [along[0][:, None, None], -along[1][None, :, None], along[2][None, None, :]]


def _blobs(rng: np.random.Generator, count: int, places: list[Array]) -> Array:
    """The largest of ``count`` Gaussians at each place, ``(d, h, w)``."""
    reach = [float(np.abs(each).max()) for each in places]
    octants = rng.permutation(8)[:count]
    volume = np.zeros(np.broadcast_shapes(*(each.shape for each in places)))
    for octant in octants.tolist():
        signs = [1 - 2 * ((octant >> bit) & 1) for bit in range(3)]
        middle = [sign * far * rng.uniform(0.4, 0.6) for sign, far in zip(signs, reach, strict=True)]
        width = min(reach) * rng.uniform(0.22, 0.32)
        apart = sum((each - at) ** 2 for each, at in zip(places, middle, strict=True))
        volume = np.maximum(volume, np.exp(-apart / (2 * width**2)))
    return volume


def _labelled(
    label: str, mirrors: str | None, inside: Array, x: Array, number: Array, spacing: tuple[float, ...]
) -> tuple[Field, Array]:
    """The field of the target, and its values."""
    if label == "number":
        return Category(MOST), number.astype(np.int64)
    if label == "inside":
        return labels_of(2, spacing), inside.astype(np.int64)
    side = np.where(x < 0, 1, np.where(x > 0, 2, -1))
    values = np.where(inside, side, 0).astype(np.int64)
    if mirrors is None:
        return labels_of(len(SIDES), spacing), values
    orders = {f"mirror-{each}": [0, 2, 1] if each == "x" else [0, 1, 2] for each in mirrors}
    return permuted(orders).over(Grid(NAME, 3, spacing)), values


def _names(label: str) -> list[str]:
    if label == "number":
        return [f"{count} blob{'s' if count > 1 else ''}" for count in range(1, MOST + 1)]
    return list(SIDES) if label == "sides" else ["outside", "inside"]
