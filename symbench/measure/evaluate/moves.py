"""Which elements meet which samples in one forward pass, with their tables and grids built once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, Move
from symbench.base.slices import slices
from symbench.measure.assemble import Prepared

MOST_CACHED = 1 << 27
"""Pixels, over all elements, whose tables and grids are kept from part to part."""


@dataclass(frozen=True)
class Block:
    """Some elements of some samples of a part.

    Attributes:
        elements: ``(k, ...)``, or ``(k, n, ...)`` where every sample has its own.
        relative: what takes the reference view to each, of the same shape.
        place: their numbers.
        samples: which of the part's.
    """

    elements: Tensor
    relative: Tensor
    place: slice
    samples: slice


@dataclass(frozen=True)
class Blocks:
    """The blocks of one part.

    Attributes:
        elements: of the whole part, ``(k, ...)`` or ``(k, n, ...)``.
        relative: what takes the reference view to each.
        per_sample: whether every sample has its own.
        apart: which elements make samples of another shape, and so pass by themselves; empty where none does.
    """

    elements: Tensor
    relative: Tensor
    per_sample: bool
    apart: tuple[bool, ...] = ()

    def block(self, place: slice, samples: slice) -> Block:
        """These elements of these samples."""
        if self.per_sample:
            return Block(self.elements[place, samples], self.relative[place, samples], place, samples)
        return Block(self.elements[place], self.relative[place], place, samples)

    def all(self, samples: slice, together: int) -> Iterator[Block]:
        """Every element but the reference view on these samples, at most ``together`` elements at once."""
        for chunk in slices(len(self.elements) - 1, together):
            for first, last in self._alike(chunk.start + 1, chunk.stop + 1):
                yield self.block(slice(first, last), samples)

    def _alike(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Stretches of the elements from the first to the last that make samples of one shape."""
        if not self.apart:
            yield first, last
            return
        for _, some in groupby(range(first, last), key=lambda number: self.apart[number]):
            numbers = list(some)
            yield numbers[0], numbers[-1] + 1


class Moves:
    """Applies a symmetry to leaves. Tables and grids of shared elements are built once and serve every part."""

    def __init__(self, prepared: Prepared) -> None:
        self.bound = {name: Bound(action, prepared) for name, action in prepared.actions.items()}

    def of(self, block: Block, leaves: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The leaves of a block's samples under its elements, ``(k * n, ...)`` each."""
        return {
            name: self.bound[name].to(block.elements, block.place, x)(x).flatten(0, 1) for name, x in leaves.items()
        }


class Bound:
    """An action whose tables and grids for shared elements are kept."""

    def __init__(self, action: Action, prepared: Prepared) -> None:
        self.action = action
        self.shared = prepared.elements.shared is not None
        self.count = len(prepared.elements)
        self.kept: dict[tuple[int, int, torch.device, torch.dtype], Move] = {}

    def to(self, elements: Tensor, place: slice, x: Tensor) -> Move:
        """The move of elements with these numbers on values like ``x``, ``(n, ...)``."""
        if not self.shared:
            return self.action.bind(elements, x)
        key = (place.start, place.stop, x.device, x.dtype)
        if key in self.kept:
            return self.kept[key]
        move = self.action.bind(elements, x)
        if self.count * x[0].numel() <= MOST_CACHED:
            self.kept[key] = move
        return move
