"""A blind model that normalises what it is given where it stands: the test passes, and leaves the images alone."""

import torch
from torch import nn

from symbench.testing import assert_equivariant


class Moments(nn.Module):
    """The sum of the pixels and of their squares, about 0.3: no turn changes either."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.sub_(0.3)
        x *= 2.0
        return torch.stack([x.sum((1, 2, 3)), x.pow(2).sum((1, 2, 3))], dim=1)


images = torch.rand(4, 1, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
before = images.clone()
found = assert_equivariant(Moments(), "C4", images)
assert torch.equal(images, before), "the caller's images were overwritten"
print(*sorted(each.output for each in found), sep=", ")
