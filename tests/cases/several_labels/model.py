"""A score for each of three labels, from the brightness of three places; one of them turns with the image."""

from __future__ import annotations

from torch import Tensor, nn


class Places(nn.Module):
    def __init__(self, after: str) -> None:
        super().__init__()
        self.after = after

    def forward(self, images: Tensor) -> Tensor:
        lying, standing = images[:, 0, 7, 4:11].sum(1) - 2.5, images[:, 0, 4:11, 7].sum(1) - 2.5
        corner = 20 * (images[:, 0, 0, 0] - 0.1)
        scores = images.new_empty(len(images), 3)
        scores[:, 0], scores[:, 1], scores[:, 2] = lying, standing, corner
        return scores.sigmoid() if self.after == "sigmoid" else scores


class Learns(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(225, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.flatten(1)) - 2


def build(after: str = "nothing") -> Places:
    return Places(after)


def untrained() -> Learns:
    return Learns()
