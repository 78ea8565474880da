"""Networks that torch can batch, and some that it cannot."""

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """A convolution, batch normalisation and a head, in float32 or float64."""

    def __init__(self, double: bool = False) -> None:
        super().__init__()
        # without a bias, whose gradient would be rounding alone, which Adam makes steps of full size of
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten())
        self.head = nn.Linear(4 * 49, 3)
        self.to(torch.float64 if double else torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, 1, 9, 9)`` to logits ``(n, 3)``."""
        out: Tensor = self.head(self.features(x))
        return out


class Fragile(Net):
    """One of its replicas, by its initial weights, returns NaN from its third step on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fragile", (self.head.bias[0] > 0).detach().float())
        self.register_buffer("shown", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """As its base."""
        if self.training:
            self.shown.add_(1)
        return super().forward(x) + torch.where(self.fragile * self.shown > 2, torch.nan, 0.0)


class Dropping(Net):
    """Draws random numbers."""

    def forward(self, x: Tensor) -> Tensor:
        """As its base."""
        return nn.functional.dropout(super().forward(x), 0.1, self.training)


class Branching(Net):
    """Looks at its numbers to decide what to do."""

    def forward(self, x: Tensor) -> Tensor:
        """As its base."""
        out = super().forward(x)
        return out if out.sum() > 0 else 2 * out


class Counting(Net):
    """Puts another tensor in the place of a buffer, which is lost where weights are handed in from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """As its base."""
        out = super().forward(x)
        self.mean = 0.9 * self.mean + 0.1 * out.detach().mean()
        return out
