"""A small vision transformer: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021, with four encodings."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from symbench.domains.images.models.encodings import Rotary, grid_positions, sinusoidal

PATCHES = 7
"""Patches a side, at most, where no size of patches is given: 28 px are 7 x 7 patches of 4, 33 px 7 x 7 of 5."""


class Attention(nn.Module):
    """Self-attention of several heads, each of a multiple of four channels; ``rotary`` turns queries and keys."""

    def __init__(self, width: int, heads: int, rotary: Rotary | None) -> None:
        super().__init__()
        self.heads, self.each = heads, head_width(width, heads)
        self.rotary = rotary
        self.into = nn.Linear(width, 3 * heads * self.each)
        self.out = nn.Linear(heads * self.each, width)

    def logits(self, queries: Tensor, keys: Tensor) -> Tensor:
        """What the softmax is taken of, ``(n, heads, tokens, tokens)``."""
        if self.rotary is not None:
            queries, keys = self.rotary(queries), self.rotary(keys)
        return queries @ keys.transpose(-2, -1) / math.sqrt(self.each)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, tokens, width)``, shape kept."""
        queries, keys, values = self.into(x).unflatten(-1, (3, self.heads, self.each)).permute(2, 0, 3, 1, 4)
        mixed = self.logits(queries, keys).softmax(dim=-1) @ values
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Attention and two dense layers, each on normalised tokens and added to them (pre-norm)."""

    def __init__(self, width: int, heads: int, rotary: Rotary | None) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width, heads, rotary))
        self.dense = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(n, tokens, width)``, shape kept."""
        x = x + self.attention(x)
        out: Tensor = x + self.dense(x)
        return out


class Vit(nn.Module):
    """Patches as tokens, some blocks, the mean over tokens and a linear head.

    With ``encoding: none`` the logits do not change under any permutation of patches, up to rounding. Images whose
    sides are no multiple of ``patch`` are padded with zeros all around, by the odd pixel more below and to the right;
    so permutations of an image's parts are permutations of patches only where ``patch`` divides the parts' sides: on
    33 px, S9 needs ``patch: 11``.

    Args:
        shape: of an image, ``(c, h, w)``.
        outputs: logits.
        width: channels of a token. Heads have ``width / heads`` each, or as many more as make a multiple of four.
        depth: blocks.
        heads: of each block.
        patch: pixels a side; None for at most seven patches on the longer side.
        encoding: ``learned``, ``sinusoidal`` (both added to the tokens), ``rotary`` or ``none``.
    """

    waves: Tensor | None

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        outputs: int,
        width: int,
        depth: int,
        heads: int,
        patch: int | None,
        encoding: str,
    ) -> None:
        super().__init__()
        self.patch = patch or -(-max(shape[1:]) // PATCHES)
        positions = grid_positions(*(-(-side // self.patch) for side in shape[1:]))
        self.embed = nn.Linear(shape[0] * self.patch**2, width)
        self.learned = nn.Parameter(torch.randn(len(positions), width) * 0.02) if encoding == "learned" else None
        waves = sinusoidal(positions, width) if encoding == "sinusoidal" else None
        self.register_buffer("waves", waves, persistent=False)
        rotary = Rotary(positions, head_width(width, heads)) if encoding == "rotary" else None
        self.blocks = nn.Sequential(*(Block(width, heads, rotary) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)

    def tokens(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to ``(n, tokens, width)``, with the encoding that is added."""
        embedded: Tensor = self.embed(patches(x, self.patch))
        added = self.learned if self.learned is not None else self.waves
        return embedded if added is None else embedded + added

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        out: Tensor = self.head(self.norm(self.blocks(self.tokens(x))).mean(dim=1))
        return out


def head_width(width: int, heads: int) -> int:
    """Channels of a head: the least multiple of four that gives all heads ``width`` channels."""
    return 4 * -(-width // (4 * heads))


def patches(x: Tensor, side: int) -> Tensor:
    """Images ``(n, c, h, w)`` cut into squares, ``(n, tokens, c * side * side)``, row by row."""
    down, across = (-length % side for length in x.shape[-2:])
    x = pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
    cut = x.unflatten(-1, (-1, side)).unflatten(-3, (-1, side))  # (n, c, rows, side, columns, side)
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
