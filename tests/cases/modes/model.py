"""Networks that a faster mode suits, and some that it does not."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Convolutions with batch norms, and scores that tell the bars apart."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(),
        )  # fmt: skip
        self.head = nn.Linear(200, 2)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean = 0.1 * torch.randn(8)
                part.running_var = 0.5 + torch.rand(8)
                nn.init.uniform_(part.weight, 0.5, 1.5)
        with torch.no_grad():
            self.head.weight.mul_(10)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.pooled(self.layers(images)))
        return out

    def pooled(self, maps: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(maps, 5).flatten(1)


class Named(Net):
    """Returns a dict."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"logits": super().forward(images)}


class Several(Net):
    """Returns a tuple."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        features = self.pooled(self.layers(images))
        return self.head(features), features


class Writes(Net):
    """Writes into its input."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.mul_(1.1))


class Differentiates(Net):
    """Differentiates inside, and leaves it to its caller that gradients are recorded."""

    def forward(self, images: Tensor) -> Tensor:
        images.requires_grad_()
        scores = super().forward(images)
        (slope,) = torch.autograd.grad(scores.sum(), images)
        return scores.detach() + slope.square().mean((1, 2, 3))[:, None] * scores.new_tensor([0.0, 0.01])


class Flat(nn.Module):
    """Nothing in it is merged."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.head = nn.Linear(225, 2)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(images.flatten(1))
        return out


class Cancels(Net):
    """Takes small differences of large numbers, of which half precision keeps nothing."""

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head((self.pooled(self.layers(images)) + 300) - 300)
        return out


class Large(Net):
    """Has activations that float16 has no numbers for."""

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head((self.pooled(self.layers(images)) * 1e6) * 1e-6)
        return out


class Views(Net):
    """Takes its maps to lie in memory as they do by default."""

    def pooled(self, maps: Tensor) -> Tensor:
        return super().pooled(maps.view(len(maps), -1).view(maps.shape))


class Single(Net):
    """Brings a number in float32 that half precision cannot be multiplied with."""

    def pooled(self, maps: Tensor) -> Tensor:
        return super().pooled(maps) @ torch.eye(200)


class Locked(Net):
    """Cannot be copied, and shares its parts with whatever is built beside it."""

    shared: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        Locked.shared = Locked.shared or self.head
        self.head = Locked.shared


class Used(Net):
    """Uses the output of a convolution twice: behind its norm, and as it is."""

    def forward(self, images: Tensor) -> Tensor:
        first = self.layers[0](images)
        maps = self.layers[3](self.layers[2](self.layers[1](first)))
        out: Tensor = self.head(self.pooled(self.layers[5](self.layers[4](maps))) + 3 * self.pooled(first))
        return out


class LateNaN(Net):
    """Fine on what is checked, and NaN in half precision once it has run often."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        scores = super().forward(images)
        return scores * float("nan") if self.passes > 12 and self.head_is_half() else scores

    def head_is_half(self) -> bool:
        return next(self.layers.parameters()).dtype != torch.float32
