"""Direct products."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group, PermutesPlaces


class Product(Group):
    """The direct product of groups. An element is the factors' elements side by side, float64 ``(k, d)``.

    Whole numbers below 2^53 keep their value in float64; :meth:`split` gives each factor its own dtype back.
    The product acts where there is an action that does all of it at once, or where its factors move different parts.
    """

    element_ndim = 1
    size_unit = "factor sizes, root of summed squares"

    def __init__(self, parts: Sequence[Group]) -> None:
        self.parts = tuple(parts)
        self.name = " x ".join(part.name for part in self.parts)
        counts = [part.count for part in self.parts]
        self.count = None if None in counts else prod(count for count in counts if count is not None)
        self.designed = any(part.designed for part in self.parts)
        self.law = "; ".join(f"{part.name}: {part.law}" for part in self.parts)
        if all(part.law == "Haar" for part in self.parts):
            self.law = "Haar"

    def split(self, g: Tensor) -> list[Tensor]:
        """Each factor's elements, in its own shape and dtype; ``g`` is ``(*batch, d)``."""
        found, start = [], 0
        for part in self.parts:
            like = part.identity()
            width = like[0].numel()
            piece = g[..., start : start + width]
            found.append(piece.reshape(*g.shape[:-1], *like.shape[1:]).to(like.dtype))
            start += width
        return found

    def join(self, pieces: Sequence[Tensor]) -> Tensor:
        """The inverse of :meth:`split`; pieces ``(k, ...)``."""
        return torch.cat([piece.reshape(len(piece), -1).double() for piece in pieces], dim=1)

    def identity(self) -> Tensor:
        """Every factor's identity."""
        return self.join([part.identity() for part in self.parts])

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """Factor by factor."""
        pairs = zip(self.parts, self.split(g), self.split(h), strict=True)
        return self.join([part.compose(a, b) for part, a, b in pairs])

    def inverse(self, g: Tensor) -> Tensor:
        """Factor by factor."""
        return self.join([part.inverse(a) for part, a in zip(self.parts, self.split(g), strict=True)])

    def elements(self) -> Tensor:
        """Every combination, the identity first."""
        rows = torch.zeros(1, 0, dtype=torch.float64)
        for part in self.parts:
            listed = part.elements()
            block = listed.reshape(len(listed), -1).double()
            rows = torch.cat([rows.repeat_interleave(len(block), 0), block.repeat(len(rows), 1)], dim=1)
        return rows

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Independent draws from the factors' laws."""
        return self.join([part.sample(count, generator=generator) for part in self.parts])

    def size(self, g: Tensor) -> Tensor:
        """The root of the summed squares of the factors' sizes, each in its own unit."""
        sizes = [part.size(a) for part, a in zip(self.parts, self.split(g), strict=True)]
        return torch.stack(sizes).square().sum(0).sqrt()

    def canonical(self, g: Tensor) -> Tensor:
        """The factors' canonical forms side by side."""
        pairs = zip(self.parts, self.split(g), strict=True)
        return torch.cat([part.canonical(a) for part, a in pairs], dim=1)

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """The factors' parameters, each under its factor's name."""
        columns = [
            [{f"{part.name}.{key}": value for key, value in row.items()} for row in part.parameters(a)]
            for part, a in zip(self.parts, self.split(g), strict=True)
        ]
        return [{k: v for row in rows for k, v in row.items()} for rows in zip(*columns, strict=True)]

    def labels(self, g: Tensor) -> list[str]:
        """The factors' labels with a comma between."""
        columns = [part.labels(a) for part, a in zip(self.parts, self.split(g), strict=True)]
        return [", ".join(row) for row in zip(*columns, strict=True)]

    def subgroups(self) -> list[Tensor]:
        """Those of each factor, the others at their identity."""
        return [
            self.join([some if other is part else _identities(other, len(some)) for other in self.parts])
            for part in self.parts
            for some in part.subgroups()
        ]

    def confined(self, g: Tensor, some: Tensor) -> Tensor:
        """Factors that a subgroup leaves at their identity are at it."""
        pieces = zip(self.parts, self.split(g), self.split(some), strict=True)
        return self.join([_confined(part, piece, of) for part, piece, of in pieces])

    def keeping(self, lengths: Sequence[int], spacing: Sequence[float]) -> Group:
        """The product of what is left of each factor."""
        parts = [part.keeping(lengths, spacing) for part in self.parts]
        return self if parts == list(self.parts) else type(self)(parts)

    def strata(self, g: Tensor) -> list[str] | None:
        """The factors' pieces with a comma between, where any has some."""
        pieces = [part.strata(a) for part, a in zip(self.parts, self.split(g), strict=True)]
        known = [piece for piece in pieces if piece is not None]
        return [", ".join(row) for row in zip(*known, strict=True)] if known else None

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Each factor's own, the other factors acting trivially."""
        pairs = zip(self.parts, self.split(g), strict=True)
        return {f"{part.name} {name}": m for part, a in pairs for name, m in part.irreps(a).items()}


def _confined(group: Group, g: Tensor, some: Tensor) -> Tensor:
    none = group.canonical(_identities(group, len(some)))
    return _identities(group, len(g)) if torch.equal(group.canonical(some), none) else group.confined(g, some)


def _identities(group: Group, count: int) -> Tensor:
    return group.identity().repeat(count, *(1,) * group.element_ndim)


class PlacesProduct(Product):
    """A product of which some factor permutes places: samples may have different numbers of them."""

    def sample_within(self, size: int, count: int, *, generator: torch.Generator) -> Tensor:
        """``count`` elements that move the first ``size`` places only."""
        return self.join([self._drawn(part, size, count, generator) for part in self.parts])

    @staticmethod
    def _drawn(part: Group, size: int, count: int, generator: torch.Generator) -> Tensor:
        if isinstance(part, PermutesPlaces):
            return part.sample_within(size, count, generator=generator)
        return part.sample(count, generator=generator)


def product_of(parts: Sequence[Group]) -> Product:
    """The product of some groups."""
    return (PlacesProduct if any(isinstance(part, PermutesPlaces) for part in parts) else Product)(parts)
