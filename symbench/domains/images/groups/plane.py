"""Rotations and mirrors of the plane as 2x2 matrices: the form in which images are moved by them."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group

MIRROR = torch.tensor([[-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
"""The left-right mirror, x to -x."""


class PlaneGroup(Group):
    """A group of rotations and mirrors about the centre: its elements are orthogonal 2x2 matrices.

    Coordinates are x to the right and y up, so a positive angle turns counter-clockwise as displayed.
    """

    size_unit = "degrees"

    @abstractmethod
    def angles_deg(self, g: Tensor) -> Tensor:
        """The angle of the turn in degrees, float64 ``(*batch,)``."""

    def mirrored(self, g: Tensor) -> Tensor:
        """Whether the left-right mirror comes before the turn, bool ``(*batch,)``."""
        return torch.zeros_like(self.angles_deg(g), dtype=torch.bool)

    def matrices(self, g: Tensor) -> Tensor:
        """``(*batch, 2, 2)``, float64; entries of quarter turns are exactly 0, 1 or -1."""
        mirrors = torch.where(self.mirrored(g)[..., None, None], MIRROR, torch.eye(2, dtype=torch.float64))
        return rotation_matrices(self.angles_deg(g)) @ mirrors


def rotation_matrices(angle_deg: Tensor) -> Tensor:
    """Counter-clockwise rotations, ``(*batch, 2, 2)`` float64, exact at multiples of 90 degrees."""
    turns = torch.round(angle_deg / 90.0)
    rest = torch.deg2rad(angle_deg - 90.0 * turns)
    quarter = torch.remainder(turns, 4).nan_to_num().long()
    cos, sin = torch.cos(rest), torch.sin(rest)
    # cos and sin of rest + quarter * 90 degrees, by exchange and sign only, so that 90 degrees stays exact
    cosines = torch.stack([cos, -sin, -cos, sin]).gather(0, quarter[None])[0]
    sines = torch.stack([sin, cos, -sin, -cos]).gather(0, quarter[None])[0]
    rows = torch.stack([cosines, -sines, sines, cosines], dim=-1)
    return rows.unflatten(-1, (2, 2))


def angle_size(angle_deg: Tensor) -> Tensor:
    """Distance of an angle from 0 along the circle, in degrees, in [0, 180]."""
    wrapped = torch.remainder(angle_deg.double(), 360.0)
    return torch.minimum(wrapped, 360.0 - wrapped)


def angle_label(angle_deg: float) -> str:
    """``90°``, ``14.4°``: six digits at most."""
    return f"{angle_deg:.6g}°"
