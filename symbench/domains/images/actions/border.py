"""What lies beyond the edge of an image: the border policies, shared by everything that moves pixels."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from symbench.algebra.actions.base import Action
from symbench.base.environment import sent
from symbench.domains.images.actions.options import BorderOptions, ResampleOptions, TurnOptions

IN_PIXELS = "shifts are in the input's pixels"
EDGE = 1e-6
"""Of a pixel's weights, what may lie beyond the frame: rounding."""


class FramedAction(Action):
    """An action on images with a border policy: what comes before it and after it is the same for all.

    Before it the disc, then the finer canvas of ``oversample``; after it back to the image's own pixels, and a crop.
    Whether pixels are finer in between makes no difference to turning and zooming about the centre.

    Attributes:
        options: the symmetry's.
    """

    options: BorderOptions

    @abstractmethod
    def reach(self, side: int) -> float:
        """Pixels around the middle that ``border: crop`` needs on ``side`` pixels, to fill it from within."""

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Images, with room for the crop."""
        if len(shape) != 3:
            other = ": volumes are moved by O, Oh and mirrors" if len(shape) == 4 else ""
            return f"an image has shape (c, h, w), got {shape}{other}"
        if self.options.border != "crop":
            return None
        side, margin = min(shape[1:]), self.options.margin
        needed = self.reach(side)
        if margin < needed - 1e-9:
            return f"border: crop needs a margin of {needed:.1f} px or more on {side} px, got {margin}"
        return f"a margin of {margin} px leaves nothing of {side} px" if 2 * margin >= side else None

    def inside(self, g: Tensor, like: Tensor) -> Tensor | None:
        """Where an image of ones that lies in nothing is still one: nothing beyond the edge took part."""
        if self.options.border == "circular":
            return None
        ones = torch.ones(1, 1, *like.shape[-2:], dtype=torch.float64)
        there = self._alone("bilinear").bind(g, ones)(ones)[:, 0, 0] > 1 - EDGE
        if isinstance(self.options, ResampleOptions) and self.options.interpolation == "bicubic":
            # which looks a pixel farther, with weights below 0
            there &= (self._alone("bicubic").bind(g, ones)(ones)[:, 0, 0] - 1).abs() < EDGE
        return None if bool(there.all()) else there

    def of_names(self) -> FramedAction:
        """The same on images that lie in nothing, unless what leaves comes in again; between pixels, bilinear."""
        return self._alone("bilinear")

    def _alone(self, interpolation: str) -> FramedAction:
        circular = self.options.border == "circular"
        told: dict[str, object] = {} if circular else {"border": "zero", "fill": 0.0, "margin": 0}
        if isinstance(self.options, ResampleOptions):
            told["interpolation"] = interpolation
        return self.under(self.options.model_copy(update=told))

    def under(self, options: BorderOptions) -> FramedAction:
        """The same under other options."""
        other = copy(self)
        other.options = options
        return other

    def of_outputs(self) -> FramedAction:
        """Behind a crop what comes in from beyond its edge is not known: it counts as nothing, and nowhere."""
        if self.options.border != "crop":
            return self
        return self.under(self.options.model_copy(update={"border": "zero", "margin": 0}))

    def cropped(self, x: Tensor) -> Tensor:
        """The middle, ``(..., h, w)``."""
        m = self.options.margin
        return x[..., m : x.shape[-2] - m, m : x.shape[-1] - m] if m else x

    def prepare(self, x: Tensor) -> Tensor:
        """The disc, and the finer canvas, where chosen."""
        if isinstance(self.options, ResampleOptions) and self.options.border == "disc":
            x = apply_disc(x, self.options.taper, self.options.fill)
        return refined(x, self._finer())

    def finish(self, x: Tensor) -> Tensor:
        """Back from the finer canvas, and the crop, where chosen."""
        return self.cropped(averaged(x, self._finer()))

    def _finer(self) -> int:
        return self.options.oversample if isinstance(self.options, TurnOptions) else 1


def refined(x: Tensor, times: int) -> Tensor:
    """Images ``(n, c, h, w)`` on a canvas ``times`` as fine: each pixel becomes ``times`` x ``times``, bilinearly."""
    if times == 1:
        return x
    size = (times * x.shape[-2], times * x.shape[-1])
    return interpolate(x, size=size, mode="bilinear", align_corners=False)


def averaged(x: Tensor, times: int) -> Tensor:
    """The means of ``times`` x ``times`` pixels, ``(..., c, times * h, times * w)`` to ``(..., c, h, w)``.

    Turned images come out as turned averages up to rounding: sums are taken in another order.
    """
    return x if times == 1 else avg_pool2d(x.flatten(0, -4), times).unflatten(0, x.shape[:-3])


def disc_mask(height: int, width: int, taper: float) -> Tensor:
    """A disc inscribed in the image, ``(h, w)`` float64: 1 inside, 0 outside, a raised-cosine edge between.

    A hard edge would ring under resampling.

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
    mask = sent(disc_mask(x.shape[-2], x.shape[-1], taper).to(x.dtype), x.device)
    return torch.lerp(x.new_full((), fill), x, mask)
