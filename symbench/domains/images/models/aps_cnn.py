"""Adaptive polyphase sampling: Chaman & Dokmanic, "Truly Shift-Invariant Convolutional Neural Networks", 2021."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symbench.base.errors import ModelError, Problem
from symbench.domains.images.models.cnn import block

SAMPLINGS = 2
MULTIPLE = 2**SAMPLINGS
"""What height and width have to be divisible by."""


class PolyphaseSampling(nn.Module):
    """Of the four ways to keep every second row and column the one of the largest l2 norm, for every sample.

    Rolling the input by one pixel exchanges the four, so that the same one is chosen and comes out rolled or as it
    was. This takes even height and width: on a circle of odd length rows do not alternate. Of components with equal
    norms the first is taken, which rolls do not respect; they are one another's copies in a constant map, where it
    does not matter, and next to never equal elsewhere.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` to ``(n, c, h / 2, w / 2)``."""
        components = torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], dim=1)  # (n, 4, c, h/2, w/2)
        # half precision would overflow in a sum of so many squares
        wide = components.to(torch.promote_types(x.dtype, torch.float32))
        largest = wide.square().sum(dim=(2, 3, 4)).argmax(dim=1)
        return components[torch.arange(len(x), device=x.device), largest]


class ApsCnn(nn.Module):
    """The layers of ``cnn`` with circular padding, where strides are adaptive polyphase samplings.

    The logits do not change when an image is rolled along either axis by any number of pixels, up to rounding. It has
    the parameters of ``cnn`` at the same width.

    Args:
        shape: ``(c, h, w)``, height and width divisible by 4, as two samplings have to meet even sides. Other sizes
            are refused: there is no exact sampling of them, and a padded image would no longer be rolled with its
            border. 28 or 32 pixels stand in for the usual 29 or 33.
        outputs: how many logits.
        width: channels of the first layer.

    Raises:
        ModelError: a side is not divisible by 4.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        _check(shape)
        self.features = nn.Sequential(
            *block(shape[0], width, stride=1, padding="circular"),
            *block(width, 2 * width, stride=1, padding="circular"),
            PolyphaseSampling(),
            *block(2 * width, 2 * width, stride=1, padding="circular"),
            PolyphaseSampling(),
            *block(2 * width, 2 * width, stride=1, padding="circular"),
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``.

        Raises:
            ModelError: as the constructor, of images of another size than those it was made for.
        """
        _check(x.shape[1:])
        out: Tensor = self.head(self.features(x).mean(dim=(-2, -1)))
        return out


def _check(shape: tuple[int, ...]) -> None:
    height, width = shape[-2:]
    if height % MULTIPLE or width % MULTIPLE:
        below = max(min(height, width) // MULTIPLE, 1) * MULTIPLE
        got, expected = f"got images of {height} x {width} px", f"height and width divisible by {MULTIPLE}"
        remedy = f"Set size: {below} or size: {below + MULTIPLE} at the dataset or at the model."
        raise ModelError(Problem("aps-cnn", got, expected, remedy))
