"""What tells a transformer where its tokens stand, in two dimensions: added waves, or turns of queries and keys."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WAVES_BASE = 10_000.0
TURNS_BASE = 100.0
"""Slowest against fastest: 10,000 as in Vaswani et al. 2017; 100 where positions are as few as an image's patches."""


def grid_positions(rows: int, columns: int) -> Tensor:
    """Row and column of every token, row by row, ``(rows * columns, 2)``."""
    grid = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack(grid, dim=-1).flatten(0, 1).to(torch.get_default_dtype())


def angles(positions: Tensor, count: int, base: float) -> Tensor:
    """``position * base^(-i / count)`` of row and column, ``(tokens, 2)`` to ``(tokens, 2 * count)`` radians."""
    rates = base ** (-torch.arange(count, device=positions.device, dtype=positions.dtype) / count)
    return (positions[..., None] * rates).flatten(-2)


def sinusoidal(positions: Tensor, width: int) -> Tensor:
    """Sines and cosines of rows and columns: Vaswani et al., "Attention Is All You Need", 2017, in two dimensions.

    Args:
        positions: ``(tokens, 2)``.
        width: channels of the result, ``(tokens, width)``; what does not divide by 4 cuts the last cosines off.
    """
    turned = angles(positions, -(-width // 4), WAVES_BASE)
    return torch.cat([turned.sin(), turned.cos()], dim=-1)[:, :width]


class Rotary(nn.Module):
    """Turns pairs of channels by angles that grow with row or column: Su et al., "RoFormer", 2021, in two dimensions.

    Two vectors turned by ``a p`` and ``a q`` have an inner product that depends on ``p - q`` alone.

    Args:
        positions: of the tokens, ``(tokens, 2)``.
        width: channels of a head, divisible by 4: half of the pairs for rows, half for columns.
    """

    positions: Tensor

    def __init__(self, positions: Tensor, width: int) -> None:
        super().__init__()
        self.quarter = width // 4
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Queries or keys ``(n, heads, tokens, width)``, shape kept."""
        turned = angles(self.positions, self.quarter, TURNS_BASE)  # (tokens, width / 2)
        cosine, sine = turned.cos(), turned.sin()
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
