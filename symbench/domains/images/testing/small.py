"""A tiny dataset and a tiny model, for tests without a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symbench.algebra.fields import Category
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.images.fields import Image


class Blobs(Arrays):
    """A tiny dataset of seeded images with labels, for tests without a network: ``classes`` blobs of colour."""

    def __init__(
        self, samples: int = 24, *, size: int = 9, classes: int = 3, channels: int = 1, seed: int = 0
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(samples) % classes
        noise = torch.rand(samples, channels, size, size, generator=generator)
        super().__init__(
            {"image": (noise + labels.view(-1, 1, 1, 1)) / (classes + 1)},
            {"label": labels},
            fields={"image": Image()},
            target_fields={"label": Category(classes)},
        )


class Brightness(nn.Module):
    """A tiny model: logits from the mean of every channel, so it is blind to anything that permutes pixels."""

    def __init__(self, *, classes: int = 3, channels: int = 1) -> None:
        super().__init__()
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, classes)``."""
        out: Tensor = self.head(x.mean(dim=(-2, -1)))
        return out
