"""Arrows round a ring of eight places: the group, how it moves them, a dataset and a model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from symbench.algebra.actions.base import Action, Kind, Move, take, times
from symbench.algebra.controls import Subject
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.images.groups.cyclic import Cyclic
from symbench.domains.images.groups.plane import PlaneGroup
from symbench_example.fields import RING, Arrow

PLACES = 8


class Rotor(Cyclic):
    """C8, in a family of its own."""

    def __init__(self) -> None:
        super().__init__(PLACES)
        self.name = "example/rotor"


class Roll(Action):
    """What stands at an angle goes to the angle further on, ``(n, places, rest)``."""

    def __init__(self, group: PlaneGroup, options: Any) -> None:
        self.group = group

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Eight places."""
        return None if shape[0] == PLACES else f"a ring has {PLACES} places, got {shape[0]}"

    def kinds(self, g: Tensor) -> list[Kind]:
        """Places are only exchanged."""
        return ["permutation"] * len(g)

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """A table for each element: what comes to place p stood so many places back."""
        steps = (self.group.angles_deg(g) / (360 / PLACES)).round().long()
        table = torch.remainder(torch.arange(PLACES) - steps[..., None], PLACES)
        return lambda x: take(x.movedim(1, -1), table).movedim(-1, 2)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Itself."""
        return lambda x: self.act(g, x)


class Turn(Action):
    """Arrows turn, in their last axis."""

    moves_values = True

    def __init__(self, group: PlaneGroup, options: Any) -> None:
        self.group = group

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Two components."""
        return None if shape[-1] == 2 else "an arrow has two components"

    def kinds(self, g: Tensor) -> list[Kind]:
        """Quarter turns are bit for bit."""
        quarters = (self.group.angles_deg(g) % 90 == 0).tolist()
        return ["permutation" if each else "exact" for each in quarters]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """A matrix for each element."""
        matrices = self.group.matrices(g).to(like)
        return lambda x: times(matrices, x)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Itself."""
        return lambda x: self.act(g, x)


def load(*, split: str, samples: int) -> Arrays:
    """Arrows at random; they pull by their sum, an arrow itself."""
    generator = torch.Generator().manual_seed(0 if split == "test" else 1)
    arrows = torch.randn(samples, PLACES, 2, generator=generator, dtype=torch.float64)
    return Arrays(
        {"arrows": arrows}, {"pull": arrows.sum(1)},
        fields={"arrows": Arrow().over(RING)}, target_fields={"pull": Arrow(unit="N")},
    )  # fmt: skip


def at_rest(asked: Subject) -> dict[str, float | None]:
    """The answer to what is fixed by the whole group has to be fixed too: one pass tests every element."""
    pulled = asked.run({"arrows": torch.zeros(1, *asked.shapes["arrows"], dtype=torch.float64)})["pull"]
    return {"pull_at_rest": float(pulled.norm())}


class RingNet(nn.Module):
    """A number times the sum, or a matrix times all arrows end to end."""

    def __init__(self, *, shapes: dict[str, tuple[int, ...]], outputs: int, exact: bool) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(1))
        self.free = None if exact else nn.Linear(shapes["arrows"][0] * 2, outputs)

    def forward(self, arrows: Tensor) -> dict[str, Tensor]:
        """Arrows ``(n, 8, 2)`` to the pull ``(n, 2)``."""
        return {"pull": self.strength * arrows.sum(1) if self.free is None else self.free(arrows.flatten(1))}
