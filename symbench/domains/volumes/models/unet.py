"""A small U-Net on volumes: Çiçek et al., "3D U-Net: Learning Dense Volumetric Segmentation", 2016."""

from __future__ import annotations

from torch import Tensor, nn

from symbench.domains.common.models.enlarging import enlarged
from symbench.domains.volumes.models.cnn import Conv, block, plain


class Unet3d(nn.Module):
    """Convolutions whose strides of 2 halve sides ``depth`` times, and that are enlarged again beside what was there.

    Args:
        shape: ``(c, d, h, w)``.
        outputs: how many logits at each place.
        width: channels of the first layer; each halving doubles them.
        depth: how often sides are halved.
        conv: makes its convolutions.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, depth: int, conv: Conv) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]

        def two(channels: int, to: int, stride: int = 1) -> nn.Sequential:
            return nn.Sequential(*block(conv, channels, to, stride), *block(conv, to, to))

        self.first = two(shape[0], width)
        self.down = nn.ModuleList(two(each, 2 * each, 2) for each in widths[:-1])
        self.up = nn.ModuleList(two(3 * each, each) for each in widths[-2::-1])
        self.head = nn.Conv3d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Volumes ``(n, c, d, h, w)`` to logits ``(n, outputs, d, h, w)``."""
        x = self.first(x)
        before: list[Tensor] = []
        for layers in self.down:
            before.append(x)
            x = layers(x)
        out: Tensor = self.head(enlarged(x, before, self.up))
        return out


class VolumeUnet(Unet3d):
    """With kernels of its own at every offset: exact under nothing but the identity."""

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, depth: int) -> None:
        super().__init__(shape=shape, outputs=outputs, width=width, depth=depth, conv=plain)
