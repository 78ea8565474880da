"""What lies beyond the edge of an image: the border policies, shared by turning and zooming."""

from __future__ import annotations

import torch
from torch import Tensor


def disc_mask(height: int, width: int, taper: float) -> Tensor:
    """A disc inscribed in the image, ``(h, w)`` float64: 1 inside, 0 outside, a raised-cosine edge between.

    A hard edge would ring under resampling (MEASURE.md "Image actions").

    Args:
        height: pixels.
        width: pixels.
        taper: width of the edge, in pixels.
    """
    y = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    distance = torch.hypot(y[:, None], x[None, :])
    depth = ((min(height, width) / 2 - distance) / taper).clamp(0, 1)
    return 0.5 - 0.5 * torch.cos(torch.pi * depth)


def apply_disc(x: Tensor, taper: float, fill: float) -> Tensor:
    """Fade ``x`` ``(n, c, h, w)`` to ``fill`` outside the inscribed disc."""
    mask = disc_mask(x.shape[-2], x.shape[-1], taper).to(x)
    return torch.lerp(x.new_full((), fill), x, mask)
