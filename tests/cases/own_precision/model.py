"""Models whose parts are kept in different precisions, as they are served."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Served(nn.Module):
    """A backbone in bfloat16 under a head in float32."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.backbone, self.head = nn.Conv2d(1, 8, 3, padding=1).bfloat16(), nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.backbone(images.bfloat16()).relu()
        out: Tensor = self.head(maps.amax((2, 3)).float())
        return out


class Unjoined(Served):
    """The same without the casts between its parts: it only runs if all of it is converted."""

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.backbone(images).relu().amax((2, 3)))
        return out


class Doubles(nn.Sequential):
    """In float64 throughout."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        super().__init__(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        self.double()
