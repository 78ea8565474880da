"""Bringing images to one size."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

from symbench.domains.common.canvas import Canvas, Frame


def resize(images: Tensor, canvas: Canvas | None) -> Tensor:
    """Bring ``(n, c, h, w)`` in [0, 1] to a canvas; unchanged where it is a number and they fit.

    The shorter side is resized, bilinear and antialiased, and the middle of the longer one is kept: what
    torchvision's ``Resize(canvas)`` and ``CenterCrop(canvas)`` do. A frame says otherwise.
    """
    if canvas is None or fits(images, canvas):
        return images
    height, width = images.shape[-2:]
    frame = Frame.of(canvas)
    placement = frame.placed(height, width)
    if placement.size != (height, width):
        images = interpolate(
            images, size=placement.size, mode=frame.interpolation, antialias=True, align_corners=False
        )
        images = images.clamp(0, 1)  # bicubic overshoots, and bilinear makes 1 + 1e-7 of 1
    top, left = placement.corner
    return images[..., top : top + frame.side, left : left + frame.side]


def fits(images: Tensor, canvas: Canvas | None) -> bool:
    """Whether images ``(n, c, h, w)`` are on a canvas as they are."""
    return canvas is None or tuple(images.shape[-2:]) == (canvas, canvas)
