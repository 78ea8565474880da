"""A fully convolutional network on the torus: its maps move with every roll."""

from __future__ import annotations

from torch import Tensor, nn

from symbench.domains.images.models.cnn import block


class CircularFcn(nn.Module):
    """The convolutions of ``circular-cnn``, without strides and with circular padding, and logits at every pixel.

    Rolling an image along either axis by any number of pixels rolls the logits, whatever its height and width, up to
    rounding. Each pixel is judged by the 9 x 9 about it.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *block(shape[0], width, stride=1, padding="circular"),
            *block(width, 2 * width, stride=1, padding="circular"),
            *block(2 * width, 2 * width, stride=1, padding="circular"),
            *block(2 * width, 2 * width, stride=1, padding="circular"),
        )
        self.head = nn.Conv2d(2 * width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs, h, w)``."""
        out: Tensor = self.head(self.features(x))
        return out
