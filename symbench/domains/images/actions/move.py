"""Rigid motions of images: a turn and a shift in one interpolation."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from symbench.algebra.actions.base import Generator, Kind, Move, grouped
from symbench.domains.images.actions.border import IN_PIXELS, FramedAction
from symbench.domains.images.actions.fourier import derivative, exactly, rotate, shift, spin
from symbench.domains.images.actions.options import ResampleOptions
from symbench.domains.images.actions.resample import (
    Reader,
    fill_value,
    neighbours,
    reader,
    reference_options,
    with_room,
)
from symbench.domains.images.groups.rigid import SE2, turned, wrapped


class MoveImage(FramedAction):
    """Turns square images about the pixel-centre midpoint, then moves them down and to the right, by any distance.

    Bilinear and bicubic interpolate once for both. ``fourier`` turns by three shears, then moves by phase ramps.
    Quarter turns without a shift are index operations, bit for bit.
    """

    in_input_units = IN_PIXELS

    def __init__(self, group: SE2, options: ResampleOptions) -> None:
        self.group = group
        self.options: ResampleOptions = options

    def reach(self, side: int) -> float:
        """What the corners of the frame need under the largest turn (45 degrees are the worst) and shift."""
        worst = math.radians(min(self.group.angle, 45.0))
        spread = math.cos(worst) + math.sin(worst)  # of a square's half side, turned
        middle = (side - 1) / 2
        return middle - (middle - neighbours(self.options)) / spread + self.group.reach

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Turning needs a square; a shift by half the image or more leaves little of it."""
        reason = super().check(shape)
        if reason is not None:
            return reason
        _, height, width = shape
        if height != width:
            return f"turning needs a square image, got {height} x {width}"
        needed = 2 * self.group.reach
        return (
            f"a reach of {self.group.reach:g} px needs more than {needed:g} px, got {width}"
            if needed >= width
            else None
        )

    def kinds(self, g: Tensor) -> list[Kind]:
        """``permutation`` for quarter turns without a shift; whole-pixel shifts are resampled like all others."""
        return ["permutation" if quarter >= 0 else "resampled" for quarter in _quarters(g).tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """A sampling grid for each element, or its numbers."""
        shared = g.ndim == 2
        items = g.reshape(-1, 3)  # (k, 3) or (k * n, 3)
        quarters = _quarters(items)
        read: Reader | None = None
        if self.options.interpolation != "fourier":
            read = reader(_source_pixels(exactly(items, like), *like.shape[-2:]), like, self.options)

        def alike(x: Tensor, quarter: int, which: list[int] | int) -> Tensor:
            """Images by the elements of their numbers, all of them this quarter turn or (-1) none."""
            if quarter >= 0:
                return torch.rot90(x, quarter, (-2, -1))
            if read is not None:
                return read(x, which)
            motions = items[which].expand(len(x), 3) if isinstance(which, int) else items[which]
            return self._by_fourier(x, motions, self.options)

        def move(x: Tensor) -> Tensor:
            if shared:
                return torch.stack([alike(x, quarter, i) for i, quarter in enumerate(quarters.tolist())])
            each = x.expand(len(g), *x.shape).flatten(0, 1)
            return grouped(each, quarters.tolist(), alike).unflatten(0, (len(g), len(x)))

        return move

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Three shears and two phase ramps, in equal motions by the shorter way round."""
        shared, options = g.ndim == 2, reference_options(self.options)

        def move(x: Tensor) -> Tensor:
            each = x.expand(len(g), *x.shape).flatten(0, 1)
            parts = _root(g.repeat_interleave(len(x), 0) if shared else g.flatten(0, 1), steps)
            return self._by_fourier(each, parts, options, steps).unflatten(0, (len(g), len(x)))

        return move

    def generators(self) -> Mapping[str, Generator]:
        """Rotation, per radian, and shifts down and to the right, per pixel."""
        options = reference_options(self.options)
        fill = fill_value(options)

        def along(unit: str, direction: list[float]) -> Generator:
            one = torch.tensor([direction], dtype=torch.float64)

            def slope(wide: Tensor) -> Tensor:
                return spin(wide) if direction[0] else -derivative(wide, -2 if direction[1] else -1)

            return Generator(
                unit,
                lambda x, t: self._by_fourier(x, (t * one).expand(len(x), 3), options),
                lambda x: with_room(x, slope, options, room=self._room(x)) - fill,
            )

        return {
            "rotation": along("rad", [math.degrees(1.0), 0.0, 0.0]),
            "down": along("px", [0.0, 1.0, 0.0]),
            "right": along("px", [0.0, 0.0, 1.0]),
        }

    def _by_fourier(self, x: Tensor, items: Tensor, options: ResampleOptions, times: int = 1) -> Tensor:
        """Images ``(n, c, s, s)``, each moved by its element ``(n, 3)``, so many times over."""

        def go(wide: Tensor) -> Tensor:
            for _ in range(times):
                down, right = (items[:, i, None, None, None] for i in (1, 2))
                wide = shift(shift(rotate(wide, items[:, 0]), down, -2), right, -1)
            return wide

        return with_room(x, go, options, room=self._room(x))

    def _room(self, x: Tensor) -> float:
        """Half the frame's diagonal, the shift and half the frame: what wraps round then stays out of sight."""
        return max(1.45, math.sqrt(0.5) + 0.5 + self.group.reach / x.shape[-1])


def _quarters(g: Tensor) -> Tensor:
    """Which quarter turn each element is, ``(*batch,)`` int64; -1 for everything else."""
    turns = g[..., 0] / 90.0
    whole = (turns == turns.round()) & (g[..., 1:] == 0).all(-1)
    return torch.where(whole, torch.remainder(turns.round(), 4.0), -1.0).long()


def _source_pixels(items: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel's value comes from, ``(items, h, w, 2)`` as (row, column), float64: the inverse motion."""
    row = torch.arange(height, dtype=torch.float64, device=items.device) - (height - 1) / 2
    column = torch.arange(width, dtype=torch.float64, device=items.device) - (width - 1) / 2
    places = torch.stack(torch.meshgrid(row, column, indexing="ij"), dim=-1)
    back = turned(places - items[:, None, None, 1:], -items[:, None, None, 0])
    return torch.stack([back[..., 0] + (height - 1) / 2, back[..., 1] + (width - 1) / 2], dim=-1)


def _root(g: Tensor, steps: int) -> Tensor:
    """The motions ``(n, 3)`` that make those of ``g`` when repeated ``steps`` times, each by the shorter way round.

    With shifts as complex numbers, x to the right and y up, ``(1 + r + ... + r^(steps - 1)) z`` is the whole shift.
    """
    angle = wrapped(g[:, 0]) / steps
    turn = torch.polar(torch.ones_like(angle), torch.deg2rad(angle))
    whole = torch.complex(g[:, 2], -g[:, 1])
    part = whole / torch.stack([turn**j for j in range(steps)]).sum(0)
    return torch.stack([angle, -part.imag, part.real], dim=-1)
