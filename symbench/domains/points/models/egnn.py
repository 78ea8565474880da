"""E(n)-equivariant graph networks: Satorras, Hoogeboom & Welling, 2021, on all pairs of points."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from symbench.domains.points.models.base import Cloud, Head, PointNetwork, Shapes, dense, numbers, real_alone, rows
from symbench.domains.points.models.messages import Heard, Messages, squared
from symbench.domains.points.models.species import Species


class Layer(nn.Module):
    """Messages from invariants; points move along the differences to others, and along their velocities.

    Args:
        width: of values and messages.
        moves: whether points move; else this layer has no use for it.
        hears: whether points have new values; likewise.
        drifts: whether they have velocities.
    """

    def __init__(self, width: int, *, moves: bool, hears: bool, drifts: bool) -> None:
        super().__init__()
        self.message = Messages(width)
        self.pull = dense(width, width, 1) if moves else None
        self.drift = dense(width, width, 1) if moves and drifts else None
        self.update = dense(2 * width, width, width) if hears else None

    def forward(
        self, h: Tensor, positions: Tensor, moved: Tensor, velocities: Tensor | None, whom: Heard
    ) -> tuple[Tensor, Tensor]:
        """New values ``(n, points, width)``, and how far the points have moved, ``(n, points, 3)``.

        Args:
            h: values of each point.
            positions: at the start.
            moved: how far since then. Kept apart from the positions, beside which it may be small.
            velocities: of the points, if they have some.
            whom: the others of each point, at the distances of the start.
        """
        index = whom.index
        # (n, points, points - 1, 3)
        apart = (positions[:, :, None] - positions[:, index]) + (moved[:, :, None] - moved[:, index])
        messages = self.message(h, replace(whom, squares=squared(apart)))
        if self.pull is not None:
            moved = moved + whom.mean(apart * self.pull(messages))
        if self.drift is not None and velocities is not None:
            moved = moved + self.drift(h) * velocities
        if self.update is not None:
            h = h + self.update(torch.cat([h, whom.mean(messages)], dim=-1))
        return h, moved


class Egnn(PointNetwork):
    """Exact under E(3) and permutations: vectors are how far the points move, all else is read from invariants.

    Points start with their charges and squared speeds as values, or with ones where they have neither, and with
    values of their species on top. An energy is the sum of what each point adds to it.
    """

    def __init__(self, *, shapes: Shapes, outputs: int, readout: str, width: int, depth: int) -> None:
        super().__init__(shapes, outputs, readout)
        drifts = "velocities" in shapes
        charges = numbers({name: shape for name, shape in shapes.items() if name == "charges"})
        self.embed = nn.Linear(1 + charges, width)
        self.kinds = Species(width) if "species" in shapes else None
        self.layers = nn.ModuleList(
            Layer(width, moves=self.each or more, hears=not self.each or more, drifts=drifts)
            for more in [*[True] * (depth - 1), False]
        )
        self.head = None if self.each else Head(width, self.count, each=False, adds=readout == "energy")

    def answer(self, cloud: Cloud) -> Tensor:
        """As :meth:`PointNetwork.answer`."""
        positions, velocities = cloud.positions, cloud.velocities
        squares = torch.ones_like(positions[..., :1]) if velocities is None else squared(velocities)
        h = self.embed(rows(squares, cloud.charges))
        if self.kinds is not None:
            h = h + self.kinds(cloud)
        moved, whom = torch.zeros_like(positions), Heard.of_all(positions, cloud.mask)
        for layer in self.layers:
            h, moved = layer(h, positions, moved, velocities, whom)
        return real_alone(moved, cloud.mask) if self.head is None else self.head(h, cloud.mask)
