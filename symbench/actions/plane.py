"""Rotations and mirrors of images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from symbench.actions import TurnOptions
from symbench.actions.base import Generator, Kind, Move
from symbench.actions.border import FramedAction
from symbench.actions.fourier import rotate, spin
from symbench.actions.resample import (
    at_least_float32,
    fill_value,
    grid_of,
    neighbours,
    reference_options,
    sample_at,
    with_room,
)
from symbench.groups.plane import PlaneGroup

Oblique = Callable[[Tensor, Sequence[int]], Tensor]
AT_ONCE = 1 << 22
"""Numbers that are flipped at once: their memory is used again and again, which is faster than asking for more."""


class TurnImage(FramedAction):
    """Rotates and mirrors images about the pixel-centre midpoint, counter-clockwise as displayed.

    ::

        . . x              x . .
        . . .   90 deg ->  . . .      the top right corner goes to the top left
        . . .              . . .

        . x . .              . . . .
        . . . .   90 deg ->  . . . .      between the four middle pixels of an even size: what is half a pixel left of
        . . . .              x . . .      it and 1.5 above goes to 1.5 left of it and half a pixel below
        . . . .              . . . .

    A pixel is a square about its centre, and the midpoint is that of the frame, ``((h - 1) / 2, (w - 1) / 2)``.
    Quarter turns and mirrors are flips and transpositions, bit for bit. Every other element is resampled: bilinear
    and bicubic from a grid built in float64, ``fourier`` by three shears.
    """

    def __init__(self, group: PlaneGroup, options: TurnOptions) -> None:
        self.group = group
        self.options: TurnOptions = options

    def reach(self, side: int) -> float:
        """What the corners of the frame need under an oblique turn; quarter turns need nothing."""
        quarters = self.group.count is not None and bool(_exact(self.group.matrices(self.group.elements())).all())
        return 0.0 if quarters else side * (1 - math.sqrt(0.5)) / 2 + neighbours(self.options)

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Quarter turns need a square, and a grid needs two pixels a side."""
        reason = super().check(shape)
        if reason is not None:
            return reason
        _, height, width = shape
        if height != width and not self._keeps_axes():
            return f"turning needs a square image, got {height} x {width}"
        if min(height, width) < 2:
            return f"turning needs at least 2 x 2 pixels, got {height} x {width}"
        return None

    def _keeps_axes(self) -> bool:
        """Whether no element exchanges rows and columns, as with flips and half turns."""
        if self.group.count is None:
            return False
        matrices = self.group.matrices(self.group.elements())
        return bool((matrices[:, 0, 1] == 0).all())

    def kinds(self, g: Tensor) -> list[Kind]:
        """``permutation`` where the matrix holds only 0 and +-1."""
        return ["permutation" if exact else "resampled" for exact in _exact(self.group.matrices(g)).tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Flips and transpositions for the exact elements; sampling grids, or angles, for the others."""
        matrices = self.group.matrices(g)
        shared = g.ndim == 1 + self.group.element_ndim
        items = matrices.flatten(0, -3)  # (k, 2, 2) or (k * n, 2, 2)
        exact = _exact(items)
        oblique = self._oblique(g, items, ~exact, like)
        places = (~exact).nonzero().flatten().tolist()
        which = {place: i for i, place in enumerate(places)}

        def move(x: Tensor) -> Tensor:
            n = len(x)
            out = x.new_empty(len(g), n, *x.shape[1:])
            if shared:
                for place, matrix in enumerate(items):
                    if place in which:
                        out[place] = oblique(x, [which[place]] * n)
                    else:
                        turn(x, matrix, out[place])
                return out
            each, flat = x.expand_as(out).flatten(0, 1), out.flatten(0, 1)  # (k * n, c, h, w)
            for matrix in items[exact].unique(dim=0):
                mine = (items == matrix).all(dim=(-1, -2)).to(x.device)
                flat[mine] = turn(each[mine], matrix, torch.empty_like(each[mine]))
            if places:
                flat[(~exact).to(x.device)] = oblique(each[~exact], list(range(len(places))))
            return out

        return move

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Three shears, by the shorter way round."""
        shared, options = g.ndim == 1 + self.group.element_ndim, reference_options(self.options)
        angles = torch.remainder(self.group.angles_deg(g) + 180.0, 360.0) - 180.0
        mirrored = self.group.mirrored(g)

        def move(x: Tensor) -> Tensor:
            n = len(x)
            each = x.expand(len(g), *x.shape).flatten(0, 1)
            angle = (angles.repeat_interleave(n) if shared else angles.flatten()) / steps
            flip = (mirrored.repeat_interleave(n) if shared else mirrored.flatten()).to(x.device)
            ready = torch.where(flip[:, None, None, None], each.flip(-1), each)

            def go(wide: Tensor) -> Tensor:
                for _ in range(steps):
                    wide = rotate(wide, angle)
                return wide

            return with_room(ready, go, options).unflatten(0, (len(g), n))

        return move

    def generators(self) -> Mapping[str, Generator]:
        """Rotation, per radian, where the group holds all angles."""
        if self.group.count is not None:
            return {}
        options = reference_options(self.options)
        fill = fill_value(options)

        def flow(x: Tensor, t: float) -> Tensor:
            angles = torch.full((len(x),), math.degrees(t), dtype=torch.float64)
            return with_room(x, lambda wide: rotate(wide, angles), options)

        return {"rotation": Generator("rad", flow, lambda x: with_room(x, spin, options) - fill)}

    def _oblique(self, g: Tensor, matrices: Tensor, chosen: Tensor, like: Tensor) -> Oblique:
        """A function of images and, for each, the number of its element among the chosen ones."""
        height, width = like.shape[-2:]
        if self.options.interpolation == "fourier":
            angles = self.group.angles_deg(g).flatten()[chosen]
            mirrored = self.group.mirrored(g).flatten()[chosen]
            return lambda x, which: self._by_shears(x, angles[which], mirrored[which])
        grids = grid_of(_source_pixels(matrices[chosen], height, width), height, width, self.options)
        grids = grids.to(like.device, at_least_float32(like))
        return lambda x, which: sample_at(x, grids[which], self.options)

    def _by_shears(self, x: Tensor, angles_deg: Tensor, mirrored: Tensor) -> Tensor:
        flip = mirrored.to(x.device)[:, None, None, None]
        ready = torch.where(flip, x.flip(-1), x) if bool(mirrored.any()) else x
        return with_room(ready, lambda wide: rotate(wide, angles_deg), self.options)


def _exact(matrices: Tensor) -> Tensor:
    """Which matrices only exchange and negate axes, ``(*batch,)`` bool."""
    return ((matrices == 0) | (matrices.abs() == 1)).all(dim=(-1, -2))


def turn(x: Tensor, matrix: Tensor, out: Tensor) -> Tensor:
    """Move images by an exact element: a transposition where it exchanges the axes, then flips.

    Args:
        x: ``(n, c, h, w)``.
        matrix: ``(2, 2)``, of 0 and +-1, x to the right and y up.
        out: filled in, and returned.
    """
    (across, up), (right, down) = matrix.tolist()
    swapped = across == 0
    # the pixel at (x, y) comes from M^T (x, y); rows count downwards, so that an exchange by +1 flips
    signs = ((-2, -right), (-1, -up)) if swapped else ((-2, down), (-1, across))
    flipped = [axis for axis, sign in signs if sign < 0]
    few = max(1, AT_ONCE // x[0].numel())
    for piece, place in zip(x.split(few), out.split(few), strict=True):
        place.copy_((piece.mT if swapped else piece).flip(flipped))
    return out


def _source_pixels(matrices: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel's value comes from, ``(items, h, w, 2)`` as (row, column), float64.

    ``(g.x)(p) = x(g^-1 p)`` with p measured from the midpoint, x to the right and y up; g is orthogonal.
    """
    y = (height - 1) / 2 - torch.arange(height, dtype=torch.float64)
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    m = matrices[..., None, None]  # (items, 2, 2, 1, 1); row vector times M is M^T p, the inverse of M
    back_x = x[None, :] * m[:, 0, 0] + y[:, None] * m[:, 1, 0]
    back_y = x[None, :] * m[:, 0, 1] + y[:, None] * m[:, 1, 1]
    return torch.stack([(height - 1) / 2 - back_y, back_x + (width - 1) / 2], dim=-1)
