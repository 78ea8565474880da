"""Numbers in a row with a linear target: what least squares comes to on them is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import torch

from symbench.algebra.fields import Nodes, Scalar
from symbench.domains.common.datasets.base import Arrays


def load(*, split: str, items: int, samples: int, pool: int, noise: float, broken: float, seed: int) -> Arrays:
    """Standard normal numbers x, with the target ``sum(x) / sqrt(items) + broken * (x_1 - x_2) / sqrt 2``.

    The first part is the same in any order of the items, and the second one is orthogonal to all functions that are.
    Targets of the training split have normal noise added, those of the test split have none: a model's mean squared
    loss on these is its excess risk, up to the sampling of the test split.

    Args:
        split: ``train`` or ``test``, drawn from separate streams of ``seed``.
        items: numbers of each sample.
        samples: how many there are in the test split.
        pool: how many there are in the training split.
        noise: standard deviation of the training targets' noise.
        broken: the norm b of the part that is not invariant.
        seed: seeds the streams.
    """
    train = split == "train"
    rng = np.random.default_rng([seed, 0 if train else 1])
    x = rng.normal(size=(pool if train else samples, items)).astype(np.float32)
    exact = x.astype(np.float64)
    target = exact.sum(1) / math.sqrt(items) + broken * (exact[:, 0] - exact[:, 1]) / math.sqrt(2)
    if train:
        target = target + noise * rng.normal(size=len(x))
    return Arrays(
        {"set": torch.from_numpy(x)[..., None]},
        {"value": torch.from_numpy(target).float()[:, None]},
        fields={"set": Nodes("items", Scalar())},
        target_fields={"value": Scalar()},
    )
