"""A model that returns probabilities, and says so to nobody; and one that returns the logits of the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Balance(nn.Module):
    """How much brighter the standing bar's place is than the lying one's."""

    def __init__(self, after: str) -> None:
        super().__init__()
        self.after = after

    def forward(self, images: Tensor) -> Tensor:
        tilt = images[:, 0, 4:11, 7].sum(1) - images[:, 0, 7, 4:11].sum(1)
        logits = torch.stack([-tilt, tilt], 1)
        return logits.softmax(1) if self.after == "softmax" else logits


def build(after: str = "softmax") -> Balance:
    return Balance(after)
