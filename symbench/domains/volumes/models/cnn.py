"""A small convolutional network on volumes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

Conv = Callable[[int, int, int], nn.Module]
"""A convolution of 3 x 3 x 3 places without a bias: channels, channels afterwards, and stride."""


class Classifier3d(nn.Module):
    """Four convolutions, the second and the third with a stride, and global average pooling.

    Args:
        shape: ``(c, d, h, w)``.
        outputs: how many logits.
        width: channels of the first layer.
        stride: 1 or 2.
        conv: makes its convolutions.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, stride: int, conv: Conv) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *block(conv, shape[0], width),
            *block(conv, width, 2 * width, stride),
            *block(conv, 2 * width, 2 * width, stride),
            *block(conv, 2 * width, 2 * width),
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Volumes ``(n, c, d, h, w)`` to logits ``(n, outputs)``."""
        out: Tensor = self.head(self.features(x).mean(dim=(-3, -2, -1)))
        return out


class VolumeCnn(Classifier3d):
    """With kernels of its own at every offset, and strides of 2."""

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__(shape=shape, outputs=outputs, width=width, stride=2, conv=plain)


def plain(channels: int, width: int, stride: int) -> nn.Module:
    """A convolution with kernels of its own at every offset."""
    return nn.Conv3d(channels, width, 3, stride=stride, padding=1, bias=False)


def block(conv: Conv, channels: int, width: int, stride: int = 1) -> list[nn.Module]:
    """A convolution, batch normalisation and ReLU."""
    return [conv(channels, width, stride), nn.BatchNorm3d(width), nn.ReLU()]
