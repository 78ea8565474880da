"""What the rows name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symbench.algebra.actions.base import Action, Kind, Move
from symbench.algebra.groups.base import Group
from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.statistics import Mean
from symbench.base.registry import Options
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.images.groups.cyclic import Cyclic
from symbench.fields import Category, Image


class HalfTurn(Cyclic):
    """C2 under another name."""

    def __init__(self) -> None:
        super().__init__(2)
        self.name = "example/halfturn"


class Spins(Cyclic):
    """Twelve spins, whose parameter has the name of an angle: it is none of the plane."""

    def __init__(self) -> None:
        super().__init__(12)
        self.name = "example/spins"


class SpinImage(Action):
    """Rolls the rows of an image of nine by three at every spin."""

    def __init__(self, group: Group, options: Options) -> None:
        del group, options

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Nine rows, so that twelve spins are none."""
        return None if shape[-2] == 9 else "it has no nine rows"

    def kinds(self, g: Tensor) -> list[Kind]:
        """Rows are moved as they are."""
        return ["permutation"] * len(g)

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """A copy of the image for each spin."""
        return lambda x: torch.stack([x.roll(3 * int(spin), dims=-2) for spin in g])


def stripes(*, samples: int) -> Arrays:
    """Stripes of two directions."""
    lines = (torch.arange(9) % 2).float().expand(9, 9)
    labels = torch.arange(samples) % 2
    images = torch.stack([lines if label else lines.T for label in labels])[:, None]
    return Arrays(
        {"image": images}, {"label": labels}, fields={"image": Image()}, target_fields={"label": Category(2)}
    )


class Average(nn.Module):
    """Blind to everything that permutes pixels."""

    def __init__(self, *, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(shape[0], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        out: Tensor = self.head(x.mean((2, 3)))
        return out


def certainty(seen: Observed) -> list[Value]:
    """Share of samples that no element changes at all."""
    return [Value.of(Mean((seen.deviation_sq == 0).all(axis=0).astype(float)))]


def pull_at_rest(seen: Observed) -> list[Value]:
    """What the control found, where it was run."""
    found = seen.facts.get("pull_at_rest")
    return [] if found is None else [Value(found)]
