"""Scalings of images."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.actions import ZoomOptions
from symbench.actions.base import Action, Kind, Move
from symbench.actions.border import apply_disc
from symbench.groups.scaling import Scalings


class ZoomImage(Action):
    """Enlarges and reduces images about the pixel-centre midpoint; the frame stays as it is.

    Separable: rows and columns are each one matrix, the triangle filter of bilinear interpolation, widened by
    ``1 / factor`` when reducing (the antialiasing of PIL and of ``interpolate(antialias=True)``).
    """

    def __init__(self, group: Scalings, options: ZoomOptions) -> None:
        self.group = group
        self.options = options

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Any image."""
        return None if len(shape) == 3 else f"an image has shape (c, h, w), got {shape}"

    def kinds(self, g: Tensor) -> list[Kind]:
        """Everything but factor 1 is resampled."""
        return ["permutation" if unmoved else "resampled" for unmoved in (g == 0).tolist()]

    def prepare(self, x: Tensor) -> Tensor:
        """The disc, where chosen."""
        return apply_disc(x, self.options.taper, self.options.fill) if self.options.border == "disc" else x

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Two filter matrices for each element."""
        circular = self.options.border == "circular"
        factors = self.group.factors(g)
        rows = zoom_matrix(factors, like.shape[-2], circular=circular).to(like)  # (*batch, h, h)
        columns = zoom_matrix(factors, like.shape[-1], circular=circular).to(like)
        fill = self.options.fill if self.options.border in {"fill", "disc"} else 0.0
        rows, columns = rows.unsqueeze(-3), columns.unsqueeze(-3)  # over channels
        if g.ndim == 1:
            rows, columns = rows.unsqueeze(1), columns.unsqueeze(1)  # over samples

        def move(x: Tensor) -> Tensor:
            return rows @ (x - fill) @ columns.mT + fill

        if like.device.type != "cuda":
            return move
        rows, columns = rows.double(), columns.double()  # TF32 would blur the images and be blamed on the model
        return lambda x: move(x.double()).to(x.dtype)


def zoom_matrix(factors: Tensor, length: int, *, circular: bool) -> Tensor:
    """The filter that zooms one axis, ``(*batch, length, length)`` float64: ``out = matrix @ in``.

    Args:
        factors: ``(*batch,)``, above 1 enlarges.
        length: pixels along the axis.
        circular: fold what lies beyond the edge back in; otherwise it counts as zero.
    """
    centre = (length - 1) / 2
    places = torch.arange(length, dtype=torch.float64)
    sources = (places - centre) / factors[..., None] + centre  # (*batch, out)
    support = (1 / factors).clamp(min=1)[..., None, None]
    beyond = int(torch.ceil(sources.max() - centre + support.max()).item()) + 1  # reach from the centre
    margin = max(0, beyond - int(centre))
    taps = torch.arange(-margin, length + margin, dtype=torch.float64)
    weights = (1 - (taps - sources[..., None]).abs() / support).clamp(min=0)
    weights = weights / weights.sum(-1, keepdim=True)
    if not circular:
        return weights[..., margin : margin + length]
    folded = weights.new_zeros(*weights.shape[:-1], length)
    return folded.index_add(-1, torch.remainder(taps, length).long(), weights)
