"""Unit quaternions ``(w, x, y, z)``, float64 ``(..., 4)``, and the rotations that they stand for."""

from __future__ import annotations

import torch
from torch import Tensor


def product(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton's: ``i j = k``. First q, then p, as rotations."""
    a, b = p[..., :1], q[..., :1]
    u, v = torch.broadcast_tensors(p[..., 1:], q[..., 1:])
    real = a * b - (u * v).sum(-1, keepdim=True)
    return torch.cat([real, a * v + b * u + torch.linalg.cross(u, v)], dim=-1)


def conjugate(q: Tensor) -> Tensor:
    """The inverse of a unit quaternion."""
    return torch.cat([q[..., :1], -q[..., 1:]], dim=-1)


def matrices(q: Tensor) -> Tensor:
    """The rotations ``v -> q v q*`` as ``(..., 3, 3)``; q and -q give the same one."""
    w, x, y, z = q.unbind(-1)
    rows = [
        *(w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def exponential(turn: Tensor) -> Tensor:
    """Turns by ``|turn|`` radians about ``turn``, ``(..., 3)``: ``(cos a/2, sin a/2 n)``."""
    half = torch.linalg.vector_norm(turn, dim=-1, keepdim=True) / 2
    return torch.cat([half.cos(), turn / 2 * torch.sinc(half / torch.pi)], dim=-1)


def drawn(count: int, *, generator: torch.Generator) -> Tensor:
    """Uniform on the sphere of unit quaternions, ``(count, 4)``: normal numbers, normalised."""
    q = torch.randn(count, 4, dtype=torch.float64, generator=generator)
    return q / torch.linalg.vector_norm(q, dim=-1, keepdim=True)
