"""Clouds of points drawn from solids, to be told apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from symbench.algebra.fields import Category, Field
from symbench.algebra.fields import classes as permuted
from symbench.algebra.statistics import Array
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.points.datasets import CLOUD
from symbench.domains.points.datasets.solids import HANDED, SOLIDS
from symbench.domains.points.groups.quaternions import matrices

HANDS = permuted({"turn": [0, 1], "cycle": [0, 1], "inversion": [1, 0]}, group="Oh")
"""How the symmetries of a cube exchange right-handed (0) and left-handed (1) helices."""


def load(*, split: str, points: int, samples: int, noise: float, pose: str, label: str, seed: int) -> Arrays:
    """Shapes of all classes in equal numbers, up to one, each with ``points`` points of its own.

    Args:
        split: ``train`` or ``test``, drawn from separate streams of ``seed``.
        points: of each cloud.
        samples: how many clouds.
        noise: standard deviation of normal noise on each coordinate.
        pose: ``aligned``, ``upright`` (turned about z) or ``random`` (uniform over all rotations).
        label: ``shape``; or ``hand``, of helices alone: then labels move with the shapes, and an invariant model
            cannot tell them.
        seed: seeds the stream.
    """
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    names = [name for number, name in enumerate(SOLIDS) if label == "shape" or number in HANDED]
    labels = rng.permutation(samples) % len(names)
    clouds = np.stack([SOLIDS[names[each]](rng, points) for each in labels])
    if pose != "aligned":
        clouds = clouds @ rotations(rng, samples, upright=pose == "upright").swapaxes(1, 2)
    clouds = clouds + noise * rng.normal(size=clouds.shape)
    field: Field = Category(len(names)) if label == "shape" else HANDS
    return Arrays(
        {"positions": torch.from_numpy(clouds).float()},
        {"label": torch.from_numpy(labels)},
        fields=CLOUD,
        target_fields={"label": field},
        classes=names,
        valid=keeps_class if label == "shape" else None,
    )


def keeps_class(label: int, element: Mapping[str, float]) -> bool:
    """Whether a moved shape is of the same class: a reflection makes a left-handed helix of a right-handed one.

    Accuracy leaves out what is not. A model that is invariant under reflections has one answer for both helices, so
    that it is right on at most one of them even where nothing is reflected.
    """
    mirrored = any(value for key, value in element.items() if key.rpartition(".")[2] == "inverted")
    return not (mirrored and label in HANDED)


def rotations(rng: np.random.Generator, count: int, *, upright: bool) -> Array:
    """Uniform rotations as matrices ``(count, 3, 3)``; about z alone if ``upright``."""
    q = rng.normal(size=(count, 4))
    if upright:
        q[:, 1:3] = 0
    found: Array = matrices(torch.from_numpy(q / np.linalg.norm(q, axis=1, keepdims=True))).numpy()
    return found
