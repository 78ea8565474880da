"""Filters that eval() makes and keeps, with their graph, as escnn and e2cnn do: such a module cannot be deep-copied."""

import torch
from torch import nn

from symbench.testing import assert_equivariant


class Steered(nn.Module):
    """A convolution with the mean of a kernel's four turns."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.coefficients = nn.Parameter(torch.randn(6, 1, 3, 3))
        self.register_buffer("kept", None, persistent=False)

    def kernel(self) -> torch.Tensor:
        return torch.stack([self.coefficients.rot90(k, (2, 3)) for k in range(4)]).mean(0)

    def train(self, mode: bool = True) -> nn.Module:
        self.kept = None if mode else self.kernel()
        return super().train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.kernel() if self.training else self.kept, padding=1)


net = nn.Sequential(Steered(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)).eval()
kept = net[0].kept
found = assert_equivariant(net, "C4", torch.rand(4, 1, 15, 15, generator=torch.Generator().manual_seed(2)))
assert max(each.relative for each in found) < 1e-12, "in float64 throughout: the filter was made anew"
assert net[0].kept is kept, "the caller's module was touched"
assert kept.requires_grad
print(*sorted(each.output for each in found), sep=", ")
