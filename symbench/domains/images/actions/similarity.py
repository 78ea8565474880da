"""Turns and zooms of images at once: similarity transformations about the centre."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from symbench.algebra.actions.base import Generator, Kind, Move
from symbench.algebra.groups.product import Product
from symbench.domains.images.actions import fourier
from symbench.domains.images.actions.border import FramedAction
from symbench.domains.images.actions.filters import radius
from symbench.domains.images.actions.options import BorderOptions, ZoomOptions
from symbench.domains.images.actions.plane import Exchanged, TurnImage, exact, exact_or, source_pixels
from symbench.domains.images.actions.resample import reader
from symbench.domains.images.groups.plane import PlaneGroup
from symbench.domains.images.groups.scaling import Scalings


class TurnAndZoomImage(FramedAction):
    """Rotates, mirrors and zooms images about the pixel-centre midpoint, in one interpolation.

    One after the other would lose at the frame's edge what the second brings back: turning and zooming commute on the
    plane, and not in a frame. The filter lies along the axes of the image that is moved; for reductions it is widened
    by ``1 / factor``, as for zooms alone. Quarter turns and mirrors at factor 1 are index operations, bit for bit.
    """

    def __init__(self, group: Product, options: ZoomOptions) -> None:
        self.group = group
        self.options: ZoomOptions = options
        (self.plane,) = (part for part in group.parts if isinstance(part, PlaneGroup))
        (self.scalings,) = (part for part in group.parts if isinstance(part, Scalings))
        self.exchanged = Exchanged()
        self.turn = TurnImage(self.plane, options)

    def under(self, options: BorderOptions) -> FramedAction:
        """The same under other options, the turn's too."""
        other = super().under(options)
        if isinstance(other, TurnAndZoomImage) and isinstance(options, ZoomOptions):
            other.turn = TurnImage(self.plane, options)
        return other

    def reach(self, side: int) -> float:
        """What the corners of the frame need under an oblique turn when reducing most, and the filter there.

        With m from the centre to the outermost pixel that is kept, r the kernel's radius and s the reduction: the
        filter of a corner ends at ``sqrt(2) s m + s r``, where nothing counts from ``(side + 1) / 2`` on.
        """
        spread = math.sqrt(2.0) if self.turn.reach(side) else 1.0
        reduction = self.scalings.reach
        width = reduction * radius(cubic=self.options.interpolation == "bicubic")
        return (side - 1) / 2 - ((side + 1) / 2 - width) / (spread * reduction)

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Room for the crop, and what turning needs."""
        reason = super().check(shape) or self.turn.check(shape)
        every = self.plane.elements() if self.plane.count is not None else self.plane.identity()
        if reason is None and any(self.turn.exchanges(every, shape)):
            return f"turning and zooming at once needs a square image, got {shape[1]} x {shape[2]}"
        return reason

    def kinds(self, g: Tensor) -> list[Kind]:
        """``permutation`` for quarter turns and mirrors at factor 1."""
        matrices, factors = self._split(g)
        return ["permutation" if only else "resampled" for only in _exact(matrices, factors).tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Flips and transpositions for the exact elements; for the others, where pixels come from and how wide."""
        matrices, factors = self._split(g)
        exactly = _exact(matrices, factors)
        # inverses; matrices are orthogonal
        back = fourier.exactly((matrices.mT / factors[..., None, None])[~exactly], like)
        widths = (1 / factors[~exactly]).clamp(min=1)
        oblique = reader(source_pixels(back, *like.shape[-2:]), like, self.options, widths)
        return exact_or(oblique, matrices, exactly, self.exchanged)

    def generators(self) -> Mapping[str, Generator]:
        """Rotation, where the group holds all angles."""
        return self.turn.generators()

    def _split(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """Orthogonal matrices ``(*batch, 2, 2)`` and factors ``(*batch,)``."""
        pieces = dict(zip(self.group.parts, self.group.split(g), strict=True))
        return self.plane.matrices(pieces[self.plane]), self.scalings.factors(pieces[self.scalings])


def _exact(matrices: Tensor, factors: Tensor) -> Tensor:
    return exact(matrices) & (factors == 1)
