"""Point sets with an exact target that does not depend on the order of the points."""

from __future__ import annotations

import numpy as np
import torch

from symbench.algebra.fields import Category, Nodes, Scalar
from symbench.domains.common.datasets.base import Arrays

CLASSES = 4


def load(*, split: str, items: int, samples: int, target: str, order: str, seed: int) -> Arrays:
    """Sets of ``items`` points in the plane; the target is their mean distance from one another.

    Each set is a cloud of random place, width and elongation. The distances are sorted before they are summed,
    so that the target is the same bit for bit in whatever order the points stand.

    Args:
        split: ``train`` or ``test``, drawn from separate streams of ``seed``.
        items: points of each set.
        samples: how many sets.
        target: ``value`` (float32) or ``class``: which of four equal ranges from 0 to 2 the value falls into.
        order: ``sorted`` by the first coordinate, or ``random``.
        seed: seeds the stream.
    """
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    centre = rng.normal(scale=0.3, size=(samples, 1, 2))
    width = rng.uniform(0.05, 1.2, size=(samples, 1, 1))
    stretch = np.exp(rng.normal(scale=0.4, size=(samples, 1, 2)))
    points = centre + width * stretch * rng.normal(size=(samples, items, 2))
    if order == "sorted":
        points = np.take_along_axis(points, points[..., :1].argsort(axis=1), axis=1)
    points = points.astype(np.float32)
    value = torch.from_numpy(mean_distance(points))
    classes = (value * CLASSES / 2).long().clamp(max=CLASSES - 1)
    return Arrays(
        {"set": torch.from_numpy(points)},
        {"label": classes if target == "class" else value.float()[:, None]},
        fields={"set": Nodes("items", Scalar())},
        target_fields={"label": Category(CLASSES) if target == "class" else Scalar()},
        classes=[f"spread {i * 2 / CLASSES:g} or more" for i in range(CLASSES)] if target == "class" else None,
    )


def mean_distance(points: np.ndarray) -> np.ndarray:
    """Mean distance between a set's points, order-free bit for bit: ``(n, items, d)`` to ``(n,)``, float64."""
    exact = points.astype(np.float64)
    first, second = np.triu_indices(points.shape[1], k=1)
    distances = np.sqrt(np.square(exact[:, first] - exact[:, second]).sum(-1))
    mean: np.ndarray = np.sort(distances, axis=1).mean(axis=1)
    return mean
