"""Shifts of images by fractions of a pixel."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from symbench.algebra.actions.base import Generator, Kind, Move
from symbench.domains.images.actions.border import IN_PIXELS, FramedAction
from symbench.domains.images.actions.fourier import derivative, exactly, shift
from symbench.domains.images.actions.options import ResampleOptions
from symbench.domains.images.actions.resample import Reader, fill_value, reader, reference_options, with_room
from symbench.domains.images.groups.slide import PlaneTranslations


class SlideImage(FramedAction):
    """Moves an image by any distance, down and to the right for positive shifts.

    ``fourier`` is a phase ramp along either axis: exact for band-limited images, and alias-free.
    """

    in_input_units = IN_PIXELS

    def __init__(self, group: PlaneTranslations, options: ResampleOptions) -> None:
        self.group = group
        self.options: ResampleOptions = options

    def reach(self, side: int) -> float:
        """The longest shift, and a pixel for the neighbours."""
        del side
        return self.group.reach + 1

    def kinds(self, g: Tensor) -> list[Kind]:
        """Whole-numbered circular shifts by phase ramps are permutations only up to rounding: all is resampled."""
        return ["permutation" if not any(distance) else "resampled" for distance in g.tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Distances, or a sampling grid for each element."""
        shared = g.ndim == 2
        height, width = like.shape[-2:]
        items = g.reshape(-1, 2)
        read: Reader | None = None
        if self.options.interpolation != "fourier":
            there = exactly(items, like)
            row = torch.arange(height, dtype=torch.float64, device=there.device) - there[:, :1]
            column = torch.arange(width, dtype=torch.float64, device=there.device) - there[:, 1:]
            sources = torch.stack(torch.broadcast_tensors(row[:, :, None], column[:, None, :]), dim=-1)
            read = reader(sources, like, self.options)

        def slide(x: Tensor, which: list[int] | int) -> Tensor:
            """One element's number for each image of ``x``, or one for all."""
            distances = items[which : which + 1] if isinstance(which, int) else items[which]
            if not bool(distances.any()):
                return x
            if read is not None:
                return read(x, which)
            return with_room(x, lambda wide: _ramp(wide, distances), self.options, room=self._room(x))

        def move(x: Tensor) -> Tensor:
            if shared:
                return torch.stack([slide(x, i) for i in range(len(items))])
            each = x.expand(len(g), *x.shape).flatten(0, 1)
            return slide(each, list(range(len(items)))).unflatten(0, (len(g), len(x)))

        return move

    def check(self, shape: tuple[int, ...]) -> str | None:
        """A shift by half the image or more leaves little of it, or comes round again."""
        reason = super().check(shape)
        if reason is not None:
            return reason
        reach, side = self.group.reach, min(shape[1:])
        return f"a reach of {reach:g} px needs more than {2 * reach:g} px, got {side}" if 2 * reach >= side else None

    def _room(self, x: Tensor) -> float:
        """What keeps content that leaves the frame from coming in on the other side."""
        return max(1.45, 1 + 2 * (self.group.reach + 1) / min(x.shape[-2:]))

    def _reference_options(self) -> ResampleOptions:
        """A circular shift is itself an action and needs no room."""
        circular = self.options.border == "circular"
        return self.options if circular else reference_options(self.options)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Phase ramps."""
        shared, options = g.ndim == 2, self._reference_options()

        def move(x: Tensor) -> Tensor:
            each = x.expand(len(g), *x.shape).flatten(0, 1)
            distances = (g.repeat_interleave(len(x), 0) if shared else g.flatten(0, 1)) / steps

            def go(wide: Tensor) -> Tensor:
                for _ in range(steps):
                    wide = _ramp(wide, distances)
                return wide

            return with_room(each, go, options, room=self._room(x)).unflatten(0, (len(g), len(x)))

        return move

    def generators(self) -> Mapping[str, Generator]:
        """Down and to the right, per pixel."""
        options = self._reference_options()
        fill = fill_value(options)

        def along(dim: int) -> Generator:
            unit = torch.tensor([[1.0, 0.0]] if dim == -2 else [[0.0, 1.0]], dtype=torch.float64)
            return Generator(
                "px",
                lambda x, t: with_room(x, lambda wide: _ramp(wide, t * unit), options, room=self._room(x)),
                lambda x: with_room(x, lambda wide: -derivative(wide, dim), options, room=self._room(x)) - fill,
            )

        return {"down": along(-2), "right": along(-1)}


def _ramp(wide: Tensor, distances: Tensor) -> Tensor:
    """Shift images ``(n, c, h, w)`` periodically, each by its ``(down, right)``, ``(n or 1, 2)``."""
    down, across = (distances[:, i, None, None, None] for i in (0, 1))
    return shift(shift(wide, down, -2), across, -1)
