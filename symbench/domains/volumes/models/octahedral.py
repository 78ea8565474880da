"""Networks whose kernels are averaged over the symmetries of a cube: their maps move with the volume, exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv3d

from symbench.domains.volumes.models.cnn import Classifier3d
from symbench.domains.volumes.models.unet import Unet3d


class OhConv(nn.Module):
    """A convolution of 3 x 3 x 3 places whose kernels all 48 symmetries of a cube keep.

    The average of a kernel over Oh is the same at all offsets of one length, and has four numbers: the middle, the 6
    faces, the 12 edges, the 8 corners. These are what is learnt. With a stride of 1 the output moves with the input
    on any side; with 2 on odd sides alone, whose sampled places lie symmetric about the middle.

    Args:
        channels: before it.
        width: channels after it.
        stride: 1 or 2.
    """

    shells: Tensor

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(width, channels, 4))
        offsets = torch.arange(-1, 2).square()
        squares = offsets[:, None, None] + offsets[None, :, None] + offsets
        self.register_buffer("shells", squares, persistent=False)
        # as torch draws those of 27 numbers: each shell's share of the output's variance is that of its places
        nn.init.uniform_(self.weight, -((27 * channels) ** -0.5), (27 * channels) ** -0.5)

    def kernel(self) -> Tensor:
        """All 27 numbers, ``(width, channels, 3, 3, 3)``."""
        return self.weight[..., self.shells]

    def forward(self, x: Tensor) -> Tensor:
        """Volumes ``(n, channels, d, h, w)``, with zeros beyond the border."""
        return conv3d(x, self.kernel(), stride=self.stride, padding=1)


class OhCnn(Classifier3d):
    """The layers of ``cnn-3d`` with such kernels: logits that stay as they are, where strides allow it."""

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, stride: int) -> None:
        super().__init__(shape=shape, outputs=outputs, width=width, stride=stride, conv=OhConv)


class OhUnet(Unet3d):
    """The layers of ``unet-3d`` with such kernels: maps move with the volume, where strides allow it."""

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, depth: int) -> None:
        super().__init__(shape=shape, outputs=outputs, width=width, depth=depth, conv=OhConv)
