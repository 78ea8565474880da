"""Rotations and mirrors of images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from symbench.algebra.actions.base import Generator, Kind, Move, grouped
from symbench.base.environment import sent
from symbench.domains.images.actions.border import FramedAction
from symbench.domains.images.actions.fourier import exactly, rotate, spin
from symbench.domains.images.actions.options import TurnOptions
from symbench.domains.images.actions.resample import (
    Reader,
    fill_value,
    neighbours,
    reader,
    reference_options,
    with_room,
)
from symbench.domains.images.groups.plane import PlaneGroup


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
        self.exchanged = Exchanged()

    def reach(self, side: int) -> float:
        """What the corners of the frame need under an oblique turn; quarter turns need nothing."""
        quarters = self.group.count is not None and bool(exact(self.group.matrices(self.group.elements())).all())
        return 0.0 if quarters else side * (1 - math.sqrt(0.5)) / 2 + neighbours(self.options)

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Quarter turns need a square, and a grid needs two pixels a side."""
        reason = super().check(shape)
        if reason is not None:
            return reason
        _, height, width = shape
        if height != width and not self._keeps_frames():
            return f"turning by other angles than quarters needs a square image, got {height} x {width}"
        if min(height, width) < 2:
            return f"turning needs at least 2 x 2 pixels, got {height} x {width}"
        return None

    def _keeps_frames(self) -> bool:
        """Whether every element makes a rectangle of a rectangle: flips, half turns, and quarter turns."""
        return self.group.count is not None and bool(exact(self.group.matrices(self.group.elements())).all())

    def exchanges(self, g: Tensor, shape: tuple[int, ...]) -> list[bool]:
        """Quarter turns make rows of the columns of a rectangle."""
        if shape[-1] == shape[-2]:
            return [False] * len(g)
        return swapping(self.group.matrices(g)).tolist()

    def kinds(self, g: Tensor) -> list[Kind]:
        """``permutation`` where the matrix holds only 0 and +-1."""
        return ["permutation" if only else "resampled" for only in exact(self.group.matrices(g)).tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Flips and transpositions for the exact elements; sampling grids, or angles, for the others."""
        matrices = self.group.matrices(g)
        oblique = self._oblique(g, matrices.flatten(0, -3), like)
        return exact_or(oblique, matrices, exact(matrices), self.exchanged)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Three shears, by the shorter way round."""
        shared, options = g.ndim == 1 + self.group.element_ndim, reference_options(self.options)
        angles = torch.remainder(self.group.angles_deg(g) + 180.0, 360.0) - 180.0
        mirrored = self.group.mirrored(g)

        def move(x: Tensor) -> Tensor:
            n = len(x)
            each = x.expand(len(g), *x.shape).flatten(0, 1)
            angle = (angles.repeat_interleave(n) if shared else angles.flatten()) / steps
            ready = _flipped(each, mirrored.repeat_interleave(n) if shared else mirrored.flatten())

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

    def _oblique(self, g: Tensor, items: Tensor, like: Tensor) -> Reader:
        """What resamples images by the elements that are not exact, numbered in their order."""
        chosen = ~exact(items)
        if self.options.interpolation == "fourier":
            angles = self.group.angles_deg(g).flatten()[chosen]
            mirrored = self.group.mirrored(g).flatten()[chosen]
            return lambda x, which: self._by_shears(x, _some(angles, which), _some(mirrored, which))
        back = exactly(items[chosen].mT, like)
        return reader(source_pixels(back, *like.shape[-2:]), like, self.options)

    def _by_shears(self, x: Tensor, angles_deg: Tensor, mirrored: Tensor) -> Tensor:
        return with_room(_flipped(x, mirrored), lambda wide: rotate(wide, angles_deg), self.options)


def _some(numbers: Tensor, which: Sequence[int] | int) -> Tensor:
    return numbers[which : which + 1] if isinstance(which, int) else numbers[which]


def _flipped(x: Tensor, mirrored: Tensor) -> Tensor:
    """Images ``(n, c, h, w)``, from left to right where ``mirrored``, ``(n,)`` or ``(1,)`` on the CPU, says so."""
    if not bool(mirrored.any()):
        return x
    if bool(mirrored.all()):
        return x.flip(-1)
    return torch.where(sent(mirrored, x.device)[:, None, None, None], x.flip(-1), x)


def exact(matrices: Tensor) -> Tensor:
    """Which matrices only exchange and negate axes, ``(*batch,)`` bool."""
    return ((matrices == 0) | (matrices.abs() == 1)).all(dim=(-1, -2))


def swapping(matrices: Tensor) -> Tensor:
    """Which matrices make rows of columns, ``(*batch,)`` bool, of those that only exchange and negate axes."""
    return matrices[..., 0, 0] == 0


class Exchanged:
    """Images with rows and columns exchanged: half of the exact elements begin so, one after the other, and the work
    is done once for as long as the images themselves are there, unchanged."""

    def __init__(self) -> None:
        self._kept = WeakIdKeyDictionary()

    def of(self, x: Tensor) -> Tensor:
        """``x.mT`` of ``(n, c, h, w)``, in an order of its own in memory; not to be written into."""
        if x.requires_grad or x.is_inference():  # has to be part of the graph; does not tell when it is changed
            return x.mT
        version, made = self._kept.get(x, (None, None))
        if made is None or version != x._version:
            made = x.mT.contiguous()
            self._kept[x] = x._version, made
        return made


def exact_or(oblique: Reader, matrices: Tensor, exactly: Tensor, exchanged: Exchanged) -> Move:
    """A move by index operations where an element allows it, and by resampling where not.

    Elements that exchange the sides of a rectangle are moved apart from those that do not.

    Args:
        oblique: what resamples; its numbers count the elements that are not exact.
        matrices: ``(k, 2, 2)`` shared by all samples, or ``(k, n, 2, 2)``.
        exactly: which elements are exact, ``(k,)`` or ``(k, n)``.
        exchanged: serves all elements that move the same images.
    """
    shared, exactly = exactly.ndim == 1, exactly.flatten()
    items = matrices.flatten(0, -3)  # (k, 2, 2) or (k * n, 2, 2)
    places = (~exactly).nonzero().flatten().tolist()
    which = {place: i for i, place in enumerate(places)}

    def one_each(images: Tensor, key: tuple[float, ...] | None, mine: list[int]) -> Tensor:
        if key is None:
            return oblique(images, [which[place] for place in mine])
        return turn(images, items[mine[0]])

    def move(x: Tensor) -> Tensor:
        if not shared:
            each = x.expand(len(matrices), *x.shape).flatten(0, 1)  # (k * n, c, h, w)
            keys = [None if i in which else tuple(m.flatten().tolist()) for i, m in enumerate(items)]
            return grouped(each, keys, one_each).unflatten(0, (len(matrices), len(x)))
        if len(items) == 1 and not which:
            return turn(x, items[0], exchanged)[None]
        out = x.new_empty(len(matrices), *(x.mT if bool(swapping(items[0])) else x).shape)
        for place, matrix in enumerate(items):
            if place in which:
                out[place] = oblique(x, which[place])
            else:
                out[place] = turn(x, matrix, exchanged)
        return out

    return move


def turn(x: Tensor, matrix: Tensor, exchanged: Exchanged | None = None) -> Tensor:
    """Move images by an exact element: a transposition where it exchanges the axes, then flips.

    Args:
        x: ``(n, c, h, w)``.
        matrix: ``(2, 2)``, of 0 and +-1, x to the right and y up.
        exchanged: has the transposed images where other elements need them too.
    """
    (across, up), (right, down) = matrix.tolist()
    swapped = across == 0
    # the pixel at (x, y) comes from M^T (x, y); rows count downwards, so that an exchange by +1 flips
    signs = ((-2, -right), (-1, -up)) if swapped else ((-2, down), (-1, across))
    flipped = [axis for axis, sign in signs if sign < 0]
    if swapped:
        x = x.mT if exchanged is None else exchanged.of(x)
    return x.flip(flipped)  # a copy, even where no axis is flipped


def source_pixels(back: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel's value comes from, ``(items, h, w, 2)`` as (row, column), float64.

    ``(g.x)(p) = x(g^-1 p)`` with p measured from the midpoint, x to the right and y up.

    Args:
        back: the inverses of the elements, ``(items, 2, 2)``: for orthogonal ones their transposes.
        height: pixels.
        width: pixels.
    """
    y = (height - 1) / 2 - torch.arange(height, dtype=torch.float64, device=back.device)
    x = torch.arange(width, dtype=torch.float64, device=back.device) - (width - 1) / 2
    m = back[..., None, None]  # (items, 2, 2, 1, 1)
    back_x = x[None, :] * m[:, 0, 0] + y[:, None] * m[:, 0, 1]
    back_y = x[None, :] * m[:, 1, 0] + y[:, None] * m[:, 1, 1]
    return torch.stack([(height - 1) / 2 - back_y, back_x + (width - 1) / 2], dim=-1)
