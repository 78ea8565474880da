"""Scalings of images."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.actions.base import Kind, Move
from symbench.domains.images.actions.border import FramedAction
from symbench.domains.images.actions.filters import folded, kernel, radius
from symbench.domains.images.actions.options import ZoomOptions
from symbench.domains.images.actions.resample import fill_value, neighbours
from symbench.domains.images.groups.scaling import Scalings


class ZoomImage(FramedAction):
    """Enlarges and reduces images about the pixel-centre midpoint; the frame stays as it is.

    Separable: rows and columns are each one matrix, the triangle filter of bilinear interpolation, widened by
    ``1 / factor`` when reducing (the antialiasing of PIL and of ``interpolate(antialias=True)``).
    """

    def __init__(self, group: Scalings, options: ZoomOptions) -> None:
        self.group = group
        self.options: ZoomOptions = options

    def reach(self, side: int) -> float:
        """What comes into view when reducing most, and the width of the filter there."""
        return side / 2 * (1 - 1 / self.group.reach) + 1 + neighbours(self.options)

    def kinds(self, g: Tensor) -> list[Kind]:
        """Everything but factor 1 is resampled."""
        return ["permutation" if unmoved else "resampled" for unmoved in (g == 0).tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Two filter matrices for each element."""
        factors = self.group.factors(g)
        cubic, border = self.options.interpolation == "bicubic", self.options.border
        rows = zoom_matrix(factors, like.shape[-2], border=border, cubic=cubic).to(like)  # (*batch, h, h)
        columns = zoom_matrix(factors, like.shape[-1], border=border, cubic=cubic).to(like)
        fill = fill_value(self.options)
        rows, columns = rows.unsqueeze(-3), columns.unsqueeze(-3)  # over channels
        if g.ndim == 1:
            rows, columns = rows.unsqueeze(1), columns.unsqueeze(1)  # over samples

        def move(x: Tensor) -> Tensor:
            return rows @ (x - fill) @ columns.mT + fill

        if like.device.type != "cuda":
            return move
        rows, columns = rows.double(), columns.double()  # TF32 would blur the images and be blamed on the model
        return lambda x: move(x.double()).to(x.dtype)


def zoom_matrix(factors: Tensor, length: int, *, border: str = "zero", cubic: bool = False) -> Tensor:
    """The filter that zooms one axis, ``(*batch, length, length)`` float64: ``out = matrix @ in``.

    Args:
        factors: ``(*batch,)``, above 1 enlarges.
        length: pixels along the axis.
        border: ``circular`` and ``reflect`` fold what lies beyond the edge back in; otherwise it counts as zero.
        cubic: Keys' kernel instead of the triangle.
    """
    centre = (length - 1) / 2
    places = torch.arange(length, dtype=torch.float64)
    sources = (places - centre) / factors[..., None] + centre  # (*batch, out)
    support = (1 / factors).clamp(min=1)[..., None, None]
    beyond = (
        int(torch.ceil(sources.max() - centre + radius(cubic=cubic) * support.max()).item()) + 1
    )  # from the centre
    margin = max(0, beyond - int(centre))
    taps = torch.arange(-margin, length + margin)
    weights = kernel((taps - sources[..., None]).abs() / support, cubic=cubic)
    weights = weights / weights.sum(-1, keepdim=True)
    place = folded(taps, length, border)
    inside = place >= 0
    out = weights.new_zeros(*weights.shape[:-1], length)
    return out.index_add(-1, place[inside], weights[..., inside])
