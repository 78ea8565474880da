"""Anti-aliased strides: Zhang, "Making Convolutional Networks Shift-Invariant Again", 2019."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from symbench.domains.images.models.cnn import Padding, block

BINOMIAL = (1, 4, 6, 4, 1)
"""The paper's filter of side 5, along either axis, over 16."""


class Blur(nn.Module):
    """Every second row and column of a map, after it was smoothed by a binomial filter."""

    filter: Tensor

    def __init__(self, channels: int, padding: Padding) -> None:
        super().__init__()
        self.mode = "constant" if padding == "zeros" else padding
        line = torch.tensor(BINOMIAL) / sum(BINOMIAL)  # sixteenths: as exact in float32 as in float64
        # fixed, and so none of the state: a checkpoint holds what is learnt
        self.register_buffer("filter", line.outer(line).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, h, w)`` to ``(n, channels, ceil(h / 2), ceil(w / 2))``."""
        reach = len(BINOMIAL) // 2
        return conv2d(pad(x, [reach] * 4, mode=self.mode), self.filter, stride=2, groups=x.shape[1])


class BlurCnn(nn.Module):
    """The layers of ``cnn``, where those with a stride convolve at every place, then blur and take every second one.

    Not exact under shifts: the filter damps what is aliased and does not remove it, and ReLU makes new high
    frequencies. Less broken than ``cnn``, of whose parameters it has as many at the same width.

    Args:
        shape: ``(c, h, w)``; with circular padding at least 5 pixels high and wide.
        outputs: how many logits.
        width: channels of the first layer.
        padding: what lies beyond the border, of convolutions and of filters: ``zeros`` or ``circular``.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, padding: Padding) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *block(shape[0], width, stride=1, padding=padding),
            *block(width, 2 * width, stride=1, padding=padding),
            Blur(2 * width, padding),
            *block(2 * width, 2 * width, stride=1, padding=padding),
            Blur(2 * width, padding),
            *block(2 * width, 2 * width, stride=1, padding=padding),
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        out: Tensor = self.head(self.features(x).mean(dim=(-2, -1)))
        return out
