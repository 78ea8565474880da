"""Scalings of images."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.actions import ZoomOptions
from symbench.actions.base import Kind, Move
from symbench.actions.border import FramedAction
from symbench.actions.resample import fill_value, neighbours
from symbench.groups.scaling import Scalings


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
        cubic: Keys' kernel with a = -0.5 (PIL's bicubic) instead of the triangle.
    """
    centre = (length - 1) / 2
    places = torch.arange(length, dtype=torch.float64)
    sources = (places - centre) / factors[..., None] + centre  # (*batch, out)
    support = (1 / factors).clamp(min=1)[..., None, None]
    radius = 2 if cubic else 1
    beyond = int(torch.ceil(sources.max() - centre + radius * support.max()).item()) + 1  # reach from the centre
    margin = max(0, beyond - int(centre))
    taps = torch.arange(-margin, length + margin)
    weights = _kernel((taps - sources[..., None]).abs() / support, cubic=cubic)
    weights = weights / weights.sum(-1, keepdim=True)
    if border not in {"circular", "reflect"}:
        return weights[..., margin : margin + length]
    period = length if border == "circular" else max(1, 2 * (length - 1))
    folded = torch.remainder(taps, period)
    if border == "reflect":
        folded = torch.minimum(folded, period - folded)
    return weights.new_zeros(*weights.shape[:-1], length).index_add(-1, folded, weights)


def _kernel(distance: Tensor, *, cubic: bool) -> Tensor:
    if not cubic:
        return (1 - distance).clamp(min=0)
    near = (1.5 * distance - 2.5) * distance.square() + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
