"""Who hears from whom: all points from all others, or atoms from those within a cutoff, across a cell's faces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from symbench.base.errors import ModelError, Problem

SLACK = 1e-4
"""By how much less than the cutoff images may reach, as a part of it: cells are rounded."""


@dataclass(frozen=True)
class Neighbours:
    """For each point, those that it hears from. It stays the same while points and cells move by little.

    Attributes:
        index: who, ``(n, points, k)``.
        real: whether it is anybody: a real point, within reach, and not the point itself; bool ``(n, points, k)``.
        images: how many lattice vectors further it is met, ``(n, points, k, 3)``; None without a cell.
    """

    index: Tensor
    real: Tensor
    images: Tensor | None = None

    def apart(self, positions: Tensor, cell: Tensor | None) -> Tensor:
        """From each of them to the point, ``(n, points, k, 3)``, with derivatives by positions and cell."""
        found = positions[:, :, None] - heard(positions, self.index)
        return (
            found
            if self.images is None or cell is None
            else found - self.images.flatten(1, 2).matmul(cell).unflatten(1, self.images.shape[1:3])
        )


def heard(x: Tensor, index: Tensor) -> Tensor:
    """Values ``(n, points, d)`` of those in an index ``(n, points, k)`` or ``(points, k)``, ``(n, points, k, d)``."""
    if index.ndim == 2:
        return x[:, index]
    first = x.shape[1] * torch.arange(len(x), device=x.device)[:, None, None]
    return x.flatten(0, 1)[index + first]


def within(
    positions: Tensor,
    mask: Tensor | None,
    cell: Tensor | None,
    periodic: Tensor | None,
    *,
    cutoff: float,
    images: int,
    most: int,
) -> Neighbours:
    """The neighbours of each point within a cutoff, its own images among them.

    Each pair is brought together along the lattice vectors, and looked for in so many cells around: that finds all
    within ``(images + 1/2)`` times the distance of opposite faces, however far outside of the cell the points are.

    Args:
        positions: ``(n, points, 3)``.
        mask: which are real, ``(n, points)``; None for all.
        cell: lattice vectors as rows, ``(n, 3, 3)``; None without one.
        periodic: along which of them space repeats, ``(n, 3)``; None for all.
        cutoff: in the unit of the positions.
        images: cells to either side.
        most: neighbours of a point.

    Raises:
        ModelError: a cell is too thin for so few images, or a point has more neighbours.
    """
    x, count = positions.detach(), positions.shape[1]
    steps = _steps(images if cell is not None else 0, x)  # (s, 3)
    apart = x[:, :, None] - x[:, None]  # (n, i, j, 3), from j to i
    real = torch.ones_like(x[..., 0], dtype=torch.bool) if mask is None else mask
    own = torch.eye(count, dtype=torch.bool, device=x.device)[..., None] & (steps == 0).all(-1)  # (i, j, s)
    allowed = (real[:, None, :, None] & ~own).expand(len(x), count, count, len(steps))
    turns = None
    if cell is not None:
        repeats = torch.ones_like(cell[..., 0]) if periodic is None else periodic.to(cell)
        lattice = cell.detach() * repeats[..., None]
        inverse = _inverse(lattice @ lattice.mT + torch.diag_embed(1 - repeats))
        _check_cells(inverse, repeats, cutoff, images)
        turns = (apart.flatten(1, 2) @ lattice.mT @ inverse).round().unflatten(1, (count, count))
        turns = turns[:, :, :, None] - steps  # (n, i, j, s, 3)
        apart = apart[:, :, :, None] - (turns.flatten(1, 3) @ lattice).unflatten(1, turns.shape[1:4])
        allowed = allowed & ((repeats[:, None] > 0) | (steps == 0)).all(-1)[:, None, None]
    else:
        apart = apart[:, :, :, None]
    squares = torch.where(allowed, apart.square().sum(-1), torch.inf).flatten(2)
    kept = squares.topk(min(most, squares.shape[-1]), dim=-1, largest=False)
    near = kept.values < cutoff**2
    _check_most(squares, near, real, cutoff, most)
    index = kept.indices // len(steps)
    if turns is None:
        return Neighbours(index, near)
    chosen = torch.take_along_dim(turns.flatten(2, 3), kept.indices[..., None], dim=2)
    return Neighbours(index, near, chosen)


def envelope(squares: Tensor, cutoff: float) -> Tensor:
    """``(1 - d^2 / cutoff^2)^3``, 0 beyond: forces and their slopes are continuous where an atom comes into reach."""
    return (1 - squares / cutoff**2).clamp(min=0) ** 3


def volumes(cell: Tensor) -> Tensor:
    """Of cells ``(n, 3, 3)``, left-handed or not: ``(n,)``."""
    return (cell[:, 0] * _cross(cell[:, 1], cell[:, 2])).sum(-1).abs()


def is_known(x: Tensor) -> bool:
    """Whether numbers can be looked at: not where only shapes are, nor under vmap, nor while a graph is recorded."""
    hidden = x.is_meta or is_functorch_wrapped_tensor(x) or torch.compiler.is_compiling()
    return not hidden and not (x.is_cuda and torch.cuda.is_current_stream_capturing())


def _steps(images: int, like: Tensor) -> Tensor:
    """All cells around one, ``((2 images + 1)^3, 3)``."""
    line = torch.arange(-images, images + 1, device=like.device, dtype=like.dtype)
    return torch.cartesian_prod(line, line, line)


def _inverse(gram: Tensor) -> Tensor:
    """Of symmetric matrices ``(n, 3, 3)``, by cofactors: torch counts no operations of its own function."""
    a, b, c = gram.unbind(1)
    cofactors = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], dim=1)
    return cofactors / (a * cofactors[:, 0]).sum(-1)[:, None, None]


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a.roll(-1, -1) * b.roll(-2, -1) - a.roll(-2, -1) * b.roll(-1, -1)


def _check_cells(inverse: Tensor, repeats: Tensor, cutoff: float, images: int) -> None:
    """Refuse cells without a volume, and images that reach less far than the cutoff."""
    if not is_known(inverse):
        return
    heights = inverse.diagonal(dim1=1, dim2=2).rsqrt()  # between opposite faces
    if not bool(torch.isfinite(heights).all()):
        row = int((~torch.isfinite(heights)).any(1).nonzero()[0])
        got = f"the cell of sample {row} of the batch has vectors that do not span what is periodic"
        raise ModelError(Problem("cell", got, "three vectors, none in the plane of the others"))
    reach = torch.where(repeats > 0, (images + 0.5) * heights, torch.inf)
    least = float(reach.amin())
    if least < cutoff * (1 - SLACK):
        got = f"a cell is so thin that {images} of its images to either side reach {least:.3g}"
        remedy = f"Say images: {images + 1}, or a smaller cutoff, in the model's entry."
        raise ModelError(Problem("cell", got, f"the cutoff, {cutoff:g}", remedy))


def _check_most(squares: Tensor, near: Tensor, real: Tensor, cutoff: float, most: int) -> None:
    """Refuse points with more neighbours than are kept."""
    if not is_known(squares) or squares.shape[-1] <= most or not bool((near.all(-1) & real).any()):
        return
    there = int(((squares < cutoff**2).sum(-1) * real).amax())
    if there > most:
        got = f"an atom has {there} neighbours within the cutoff, {cutoff:g}"
        raise ModelError(
            Problem("neighbours", got, f"{most} at most", f"Say neighbours: {there}, or a smaller cutoff.")
        )
