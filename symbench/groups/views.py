"""Elements of their own for every sample: published protocols draw their views so."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from symbench.errors import ConfigError, Problem
from symbench.groups.base import Elements, Group
from symbench.groups.translation import Translations

Against = Literal["identity", "drawn", "neighbour"]
"""What the reference view is: the sample as it is; a draw like the others; or, with the other view one pixel down and
to the right of it, a draw (Azulay & Weiss 2018)."""


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
    if sizes is not None and type(group).sample_within is Group.sample_within:
        got = f"samples have places in different numbers, and {group.name} moves them all"
        raise ConfigError(Problem(where, got, "S, which permutes as many as each sample has"))
    if against == "neighbour" and not (isinstance(group, Translations) and count == 1):
        raise ConfigError(
            Problem(where, f"got reference: neighbour with {group.name} and elements: {count}", "translations and 1")
        )
    weights = torch.full((count + 1,), 1 / count, dtype=torch.float64)
    weights[0] = 0.0

    def each(sample: int) -> Tensor:
        digest = hashlib.sha256(f"{seed}\0{sample}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        if sizes is not None:
            drawn = group.sample_within(int(sizes[sample]), count + (against != "identity"), generator=generator)
            return drawn if against != "identity" else torch.cat([group.identity(), drawn])
        if against == "identity":
            return torch.cat([group.identity(), group.sample(count, generator=generator)])
        if against == "neighbour" and isinstance(group, Translations):
            first = Translations(group.reach - 1, group.back).sample(1, generator=generator)
            return torch.cat([first, first + 1])  # both within reach
        return group.sample(count + 1, generator=generator)

    return Elements(None, weights, "per sample", each, against != "identity")
