"""Averages over quarter turns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

TURNS = 4


def over_turns(once: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The mean of what a function says of an image and of its turned copies: invariant, where they are all there."""
    return torch.stack([once(images.rot90(turn, (2, 3))) for turn in range(TURNS)]).mean(dim=0)
