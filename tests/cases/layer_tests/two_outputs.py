"""A pair of outputs: each is declared, by place, or left out in so many words."""

import torch

from symbench.base.errors import ConfigError
from symbench.fields import Image, Scalar
from symbench.testing import assert_equivariant


def pair(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums, which no turn changes, and the images, which turn."""
    return x.sum((2, 3)), x


images = torch.rand(4, 1, 9, 9, generator=torch.Generator().manual_seed(3))
try:
    assert_equivariant(pair, "C4", images)
except ConfigError as error:
    print(error)
found = assert_equivariant(pair, "C4", images, {"sums": Scalar(), "maps": Image()})
assert_equivariant(pair, "C4", images, {"sums": Scalar(), "maps": None})
print(*sorted(each.output for each in found), sep=", ")
