"""A small U-Net: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from symbench.domains.images.models.cnn import Padding, block

SLOPE = 0.1
"""Of activations below 0. Where all of a few channels are 0 at the places of a class, nothing is learnt of it: with
ReLU some trainings never found one of three shapes."""


class Unet(nn.Module):
    """Convolutions that are pooled by strides of 2, ``depth`` times, and enlarged again beside what was there before.

    With circular padding and sides that ``2^depth`` divides it is exact under rolls by multiples of ``2^depth``
    pixels, and under no others: which of two neighbours a stride keeps depends on where they are. With zeros beyond
    the border it is exact under none.

    Args:
        shape: ``(c, h, w)``.
        outputs: how many logits at each pixel.
        width: channels of the first layer; each pooling doubles them.
        depth: how often sides are halved.
        padding: what lies beyond the border: ``zeros`` or ``circular``.
    """

    def __init__(
        self, *, shape: tuple[int, ...], outputs: int, width: int, depth: int, padding: Padding = "zeros"
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]

        def two(channels: int, to: int) -> nn.Sequential:
            first, again = (block(each, to, stride=1, padding=padding) for each in (channels, to))
            return nn.Sequential(*first[:-1], nn.LeakyReLU(SLOPE), *again[:-1], nn.LeakyReLU(SLOPE))

        self.down = nn.ModuleList(two(*pair) for pair in zip([shape[0], *widths], widths, strict=False))
        self.up = nn.ModuleList(two(3 * each, each) for each in widths[-2::-1])
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs, h, w)``."""
        before: list[Tensor] = []
        for number, layers in enumerate(self.down):
            # an odd side keeps its last row, so that every pixel is seen
            x = layers(max_pool2d(x, 2, ceil_mode=True) if number else x)
            before.append(x)
        before.pop()
        for layers in self.up:
            beside = before.pop()
            x = layers(torch.cat([beside, repeated(x, beside.shape[-2:])], dim=1))
        out: Tensor = self.head(x)
        return out


def repeated(x: Tensor, sides: torch.Size) -> Tensor:
    """Every pixel of ``(n, c, h, w)`` twice along either axis, and of that as much as ``sides`` have."""
    height, width = sides
    return x.repeat_interleave(2, -2)[..., :height, :].repeat_interleave(2, -1)[..., :width]
