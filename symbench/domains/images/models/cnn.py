"""A small convolutional network."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

Padding = Literal["zeros", "circular"]
"""What lies beyond the border of an image, a ``padding_mode`` of torch's."""


class Cnn(nn.Module):
    """Four 3x3 convolutions, two of them with stride 2, and global average pooling.

    Shifts come out nearly even by construction (the strides and the zero padding break them); turns do not.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *block(shape[0], width, stride=1),
            *block(width, 2 * width, stride=2),
            *block(2 * width, 2 * width, stride=2),
            *block(2 * width, 2 * width, stride=1),
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        out: Tensor = self.head(self.features(x).mean(dim=(-2, -1)))
        return out


def block(channels: int, width: int, *, stride: int, padding: Padding = "zeros") -> list[nn.Module]:
    """A 3x3 convolution, batch normalisation and ReLU."""
    return [
        nn.Conv2d(channels, width, 3, stride=stride, padding=1, padding_mode=padding, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
