"""The soft Dice loss: how little predicted and labelled maps overlap, whatever part of an image a class covers."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 1e-7
"""Of an overlap's denominator: where a class is neither said nor labelled, there is no overlap to speak of."""


def dice_loss(probabilities: Tensor, target: Tensor, ignored: int = -1) -> Tensor:
    """``1 - 2 sum(p t) / (sum p + sum t)``, the mean over the classes that a batch has.

    Sums go over the labelled places of all samples (Milletari et al. 2016, without the squares; Sudre et al. 2017).
    Cross-entropy counts places, so that a ground of 90 % is learnt first and small objects last; this counts classes.

    Args:
        probabilities: of each class, ``(n, classes, *grid)``.
        target: the class of each place, ``(n, *grid)``.
        ignored: the class of places that count nowhere.

    Returns:
        A number in [0, 1], differentiable; 0 where nothing is labelled.
    """
    real = target != ignored
    wanted = torch.nn.functional.one_hot(target.clamp(min=0), probabilities.shape[1]).movedim(-1, 1)
    wanted = (wanted * real.unsqueeze(1)).to(probabilities.dtype)
    over = [axis for axis in range(probabilities.ndim) if axis != 1]
    said, there = (probabilities * real.unsqueeze(1)).sum(over), wanted.sum(over)
    overlap = 2 * (probabilities * wanted).sum(over) / (said + there).clamp(min=LEAST)
    some = (there > 0).to(overlap.dtype)
    return ((1 - overlap) * some).sum() / some.sum().clamp(min=1)
