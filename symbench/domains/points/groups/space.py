"""What the groups of space have in common, and how a rotation is described."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group
from symbench.domains.points.groups import quaternions

TURNS = MappingProxyType({"rotation x": "rad", "rotation y": "rad", "rotation z": "rad"})
EYE = torch.eye(3, dtype=torch.float64)


class SpaceGroup(Group):
    """A group that acts on space: every element turns it, may invert it, and may move it.

    Coordinates are right-handed; a turn by a positive angle is counter-clockwise seen from the tip of its axis.

    Attributes:
        algebra: a basis of the Lie algebra by name, with the unit of its parameter; empty for finite groups.
    """

    algebra: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def linear(self, g: Tensor) -> Tensor:
        """How each element turns and inverts space: orthogonal matrices ``(*batch, 3, 3)``, float64."""

    def shift(self, g: Tensor) -> Tensor | None:
        """How each element moves the origin, ``(*batch, 3)``; None where no element does."""
        del g
        return None

    def exponential(self, x: Tensor) -> Tensor:
        """The elements ``exp(X)``, for coefficients ``(k, d)`` in the basis :attr:`algebra`."""
        raise ValueError(f"{self.name} has no Lie algebra")


class Orthogonal(SpaceGroup):
    """A group of orthogonal matrices, float64 ``(k, 3, 3)``."""

    element_ndim = 2
    size_unit = "degrees"

    def identity(self) -> Tensor:
        """The unit matrix."""
        return EYE[None].clone()

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """The matrices' product."""
        return g @ h

    def inverse(self, g: Tensor) -> Tensor:
        """The transpose."""
        return g.mT

    def linear(self, g: Tensor) -> Tensor:
        """The element itself."""
        return g

    def size(self, g: Tensor) -> Tensor:
        """The angle of the rotation, in degrees; with inversion 180 degrees more."""
        return angle_deg(proper(g)) + torch.where(improper(g), 180.0, 0.0)

    def canonical(self, g: Tensor) -> Tensor:
        """The matrix, to 1e-9."""
        return torch.round(g.flatten(-2), decimals=9) + 0.0

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``angle_deg``, the axis as ``axis_x``, ``axis_y`` and ``axis_z``, and ``inverted`` (0 or 1)."""
        return turn_parameters(g)

    def labels(self, g: Tensor) -> list[str]:
        """``90° about (0, 0, 1)``, after ``inverted,`` where it is improper."""
        return turn_labels(g)


def improper(g: Tensor) -> Tensor:
    """Whether orthogonal matrices change handedness, bool ``(*batch,)``."""
    return torch.linalg.det(g) < 0


def proper(g: Tensor) -> Tensor:
    """Orthogonal matrices without their inversion: rotations, ``(*batch, 3, 3)``."""
    return torch.where(improper(g)[..., None, None], -g, g)


def angle_deg(rotations: Tensor) -> Tensor:
    """The angle of each rotation, in degrees, in [0, 180]; precise near 0, where an arc cosine is not."""
    cos = rotations.diagonal(dim1=-2, dim2=-1).sum(-1) - 1
    return torch.rad2deg(torch.atan2(torch.linalg.vector_norm(_skew(rotations), dim=-1), cos))


def axis(rotations: Tensor) -> Tensor:
    """The unit vector that each rotation is about, ``(*batch, 3)``; z where there is no rotation.

    Of the two of a half turn, that whose first component that is not 0 is above 0.
    """
    skew, trace = _skew(rotations), rotations.diagonal(dim1=-2, dim2=-1).sum(-1)
    # R + R^T - 2 cos a = 2 (1 - cos a) n n^T: rows along the axis, precise where the skew part is not, at half turns.
    square = rotations + rotations.mT + (1 - trace)[..., None, None] * EYE
    row = square.diagonal(dim1=-2, dim2=-1).argmax(-1)
    found = square.gather(-2, row[..., None, None].expand(*row.shape, 1, 3))[..., 0, :]
    along = (found * skew).sum(-1, keepdim=True)
    first = found.gather(-1, (found.abs() > 1e-9).to(torch.uint8).argmax(-1, keepdim=True))
    found = found * torch.where(along.abs() > 1e-9, along, first).sign()
    found = torch.where((trace > 1)[..., None], skew, found)
    still = (angle_deg(rotations) < 1e-9)[..., None]
    return torch.nn.functional.normalize(torch.where(still, EYE[2], found), dim=-1, eps=1e-30)


def _skew(rotations: Tensor) -> Tensor:
    """``2 sin(angle)`` times the axis."""
    pairs = ((2, 1), (0, 2), (1, 0))
    return torch.stack([rotations[..., i, j] - rotations[..., j, i] for i, j in pairs], dim=-1)


def turn_parameters(g: Tensor) -> list[dict[str, float]]:
    """Orthogonal matrices ``(k, 3, 3)`` as named numbers."""
    rotations = proper(g)
    columns = torch.cat([angle_deg(rotations)[:, None], axis(rotations), improper(g)[:, None].double()], dim=1)
    names = ("angle_deg", "axis_x", "axis_y", "axis_z", "inverted")
    return [dict(zip(names, row, strict=True)) for row in columns.tolist()]


def turn_labels(g: Tensor) -> list[str]:
    """Orthogonal matrices ``(k, 3, 3)`` in words."""
    return [_label(**row) for row in turn_parameters(g)]


def _label(angle_deg: float, axis_x: float, axis_y: float, axis_z: float, inverted: float) -> str:
    words = ["inverted"] if inverted else []
    if angle_deg > 1e-9 or not inverted:
        about = ", ".join(f"{round(each, 4) + 0.0:g}" for each in (axis_x, axis_y, axis_z))
        words.append(f"{angle_deg:.6g}° about ({about})" if angle_deg > 1e-9 else "identity")
    return ", ".join(words)


def rotations_of(turn: Tensor) -> Tensor:
    """Rotation matrices of rotation vectors in radians, ``(*batch, 3)``."""
    return quaternions.matrices(quaternions.exponential(turn))
