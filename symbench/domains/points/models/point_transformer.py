"""A transformer on points: attention (Vaswani et al., 2017) over tokens made of raw coordinates."""

from __future__ import annotations

import math

from torch import Tensor, nn

from symbench.domains.points.models.base import Cloud, Head, PointNetwork, Shapes, dense, numbers, rows


class Attention(nn.Module):
    """Self-attention of several heads, written out: fused kernels have no second derivatives, which forces need."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.each = heads, -(-width // heads)
        self.into = nn.Linear(width, 3 * heads * self.each)
        self.out = nn.Linear(heads * self.each, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, points, width)``, shape kept."""
        queries, keys, values = self.into(x).unflatten(-1, (3, self.heads, self.each)).permute(2, 0, 3, 1, 4)
        weights = (queries @ keys.transpose(-2, -1) / math.sqrt(self.each)).softmax(dim=-1)
        out: Tensor = self.out((weights @ values).transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Attention and two dense layers, each on normalised tokens and added to them (pre-norm)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width, heads))
        self.dense = nn.Sequential(nn.LayerNorm(width), dense(width, 2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, points, width)``, shape kept."""
        x = x + self.attention(x)
        out: Tensor = x + self.dense(x)
        return out


class PointTransformer(PointNetwork):
    """Points as tokens without any encoding of their order: exact under permutations, and under nothing else."""

    def __init__(self, *, shapes: Shapes, outputs: int, readout: str, width: int, depth: int, heads: int) -> None:
        super().__init__(shapes, outputs, readout)
        self.embed = nn.Linear(numbers(shapes), width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)), nn.LayerNorm(width))
        self.head = Head(width, self.count, each=self.each)

    def answer(self, cloud: Cloud) -> Tensor:
        """As :meth:`PointNetwork.answer`."""
        out: Tensor = self.head(self.blocks(self.embed(rows(cloud.positions, cloud.velocities, cloud.charges))))
        return out
