"""A convolutional network on the torus: exact under rolls."""

from __future__ import annotations

from torch import Tensor, nn

from symbench.domains.images.models.cnn import block


class CircularCnn(nn.Module):
    """The layers of ``cnn`` without strides and with circular padding, and global average pooling.

    The logits do not change when an image is rolled along either axis by any number of pixels, whatever its height
    and width, up to rounding. Shifts that bring in zeros at a border are no rolls, and break this there. It has the
    parameters of ``cnn`` at the same width; nothing is ever made smaller, so that it costs about nine times as much.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *block(shape[0], width, stride=1, padding="circular"),
            *block(width, 2 * width, stride=1, padding="circular"),
            *block(2 * width, 2 * width, stride=1, padding="circular"),
            *block(2 * width, 2 * width, stride=1, padding="circular"),
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        out: Tensor = self.head(self.features(x).mean(dim=(-2, -1)))
        return out
