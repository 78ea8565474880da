"""Elements of their own for every sample: published protocols draw their views so."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from symbench.algebra.groups.base import Elements, Group, HasNeighbours, PermutesPlaces
from symbench.base.errors import ConfigError, Problem

Against = Literal["identity", "drawn", "neighbour"]
"""What the reference view is: the sample as it is; a draw like the others; or a draw whose other view is its nearest
neighbour (Azulay & Weiss 2018)."""


@dataclass(frozen=True)
class DrawEach:
    """The elements of each sample, drawn when they are asked for: plain data, so that they can be sent elsewhere.

    Attributes:
        group: whose law is drawn from.
        count: elements besides the reference view.
        seed: of this purpose; with a sample's number it decides its elements, on any machine.
        against: what the reference view is.
        sizes: how many places each sample has, where they differ.
    """

    group: Group
    count: int
    seed: int
    against: Against = "identity"
    sizes: Sequence[int] | None = None

    def __call__(self, sample: int) -> Tensor:
        """The elements ``(count + 1, ...)`` of the sample with this number, the reference view first."""
        digest = hashlib.sha256(f"{self.seed}\0{sample}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        group, count = self.group, self.count
        if self.against == "identity":
            return torch.cat([group.identity(), self._drawn(sample, count, generator)])
        if self.against == "neighbour" and isinstance(group, HasNeighbours):
            return group.neighbours(generator=generator)
        return self._drawn(sample, count + 1, generator)

    def _drawn(self, sample: int, count: int, generator: torch.Generator) -> Tensor:
        if self.sizes is not None and isinstance(self.group, PermutesPlaces):
            return self.group.sample_within(int(self.sizes[sample]), count, generator=generator)
        return self.group.sample(count, generator=generator)


def draw_each(
    group: Group,
    count: int,
    *,
    seed: int,
    against: Against = "identity",
    where: str = "",
    sizes: Sequence[int] | None = None,
) -> Elements:
    """``count`` elements for every sample, drawn from the group's law and keyed on (seed, sample).

    So they depend on nothing else: neither on the batch size nor on the order or number of samples. They are not
    deduplicated, as protocols do not.

    Args:
        group: the group.
        count: elements besides the reference view.
        seed: of this purpose.
        against: what the reference view is.
        where: the suite's key, for messages.
        sizes: how many places each sample has, where they differ: its elements leave the padding alone.

    Raises:
        ConfigError: neighbours of anything but shifts, or more than one of them; or sizes, and the group moves all
            places or none.
    """
    if sizes is not None and not isinstance(group, PermutesPlaces):
        got = f"samples have places in different numbers, and {group.name} moves them all"
        raise ConfigError(Problem(where, got, "S, which permutes as many as each sample has"))
    if against == "neighbour" and not (isinstance(group, HasNeighbours) and count == 1):
        raise ConfigError(
            Problem(where, f"got reference: neighbour with {group.name} and elements: {count}", "translations and 1")
        )
    weights = torch.full((count + 1,), 1 / count, dtype=torch.float64)
    weights[0] = 0.0
    each = DrawEach(group, count, seed, against, sizes)
    return Elements(None, weights, "per sample", each, against != "identity")
