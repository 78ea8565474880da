"""What one factor of a direct product does, the others leaving that part of a field alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from symbench.algebra.actions.base import Action, Generator, Kind, Move
from symbench.algebra.groups.product import Product


class FactorAction(Action):
    """Moves by a product's elements as one of its factors does.

    Args:
        group: the product.
        number: of the factor.
        action: of the factor.
    """

    def __init__(self, group: Product, number: int, action: Action) -> None:
        self.group = group
        self.number = number
        self.action = action
        self.in_input_units = action.in_input_units
        self.moves_values = action.moves_values
        self.beside = action.beside
        self.factors = frozenset({number})

    @property
    def remark(self) -> str | None:
        """The factor's."""
        return self.action.remark

    def own(self, g: Tensor) -> Tensor:
        """The factor's part of the product's elements."""
        return self.group.split(g)[self.number]

    def check(self, shape: tuple[int, ...]) -> str | None:
        """The factor's."""
        return self.action.check(shape)

    def kinds(self, g: Tensor) -> list[Kind]:
        """The factor's."""
        return self.action.kinds(self.own(g))

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """The factor's."""
        return self.action.bind(self.own(g), like)

    def immovable(self, shape: tuple[int, ...], side: int) -> str | None:
        """The factor's."""
        return self.action.immovable(shape, side)

    def carried(self, x: Tensor, beside: Sequence[Tensor]) -> Tensor:
        """The factor's."""
        return self.action.carried(x, beside)

    def prepare(self, x: Tensor) -> Tensor:
        """The factor's."""
        return self.action.prepare(x)

    def finish(self, x: Tensor) -> Tensor:
        """The factor's."""
        return self.action.finish(x)

    def exchanges(self, g: Tensor, shape: tuple[int, ...]) -> list[bool]:
        """The factor's."""
        return self.action.exchanges(self.own(g), shape)

    def inside(self, g: Tensor, like: Tensor) -> Tensor | None:
        """The factor's."""
        return self.action.inside(self.own(g), like)

    def lost(self, g: Tensor, x: Tensor) -> Tensor | None:
        """The factor's."""
        return self.action.lost(self.own(g), x)

    def held(self, g: Tensor, moved: Tensor) -> Tensor:
        """The factor's."""
        return self.action.held(self.own(g), moved)

    def of_outputs(self) -> Action:
        """The factor's."""
        return FactorAction(self.group, self.number, self.action.of_outputs())

    def cropped(self, x: Tensor) -> Tensor:
        """The factor's."""
        return self.action.cropped(x)

    def of_names(self) -> Action:
        """The factor's."""
        return FactorAction(self.group, self.number, self.action.of_names())

    def reference(self, g: Tensor, *, steps: int = 1) -> Move | None:
        """The factor's."""
        return self.action.reference(self.own(g), steps=steps)

    def generators(self) -> Mapping[str, Generator]:
        """The factor's, behind its name: the other factors leave this part alone."""
        name = self.group.parts[self.number].name
        found = self.action.generators()
        return {f"{name} {each}": replace(generator, factor=self.number) for each, generator in found.items()}
