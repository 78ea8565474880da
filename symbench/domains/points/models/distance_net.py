"""Messages from distances alone, as SchNet has them (Schütt et al., 2017): energies, and forces from them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symbench.domains.points.models.base import Cloud, Head, PointNetwork, Shapes, dense
from symbench.domains.points.models.messages import Heard, Messages, squared
from symbench.domains.points.models.neighbours import Neighbours, envelope, within
from symbench.domains.points.models.species import starts

USUAL_CUTOFF = 5.0
"""Of crystals, in the unit of the positions, where the model's entry names none."""
USUAL_NEIGHBOURS = 12.0
"""What sums of messages within a cutoff are divided by, to be of order 1: the neighbours of close packing."""


class Round(nn.Module):
    """Every point hears what others are, and from how far."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.message = Messages(width)
        self.update = dense(2 * width, width, width)

    def forward(self, h: Tensor, heard: Heard) -> Tensor:
        """Values ``(n, points, width)``, shape kept."""
        out: Tensor = h + self.update(torch.cat([h, heard.mean(self.message(h, heard))], dim=-1))
        return out


class DistanceNet(PointNetwork):
    """Blind to all but distances: exact under E(3) and permutations, and so to mirror images as well.

    An energy is the sum of what each atom adds to it. With a cutoff, and in a cell, atoms hear from those within it
    alone, fading towards it: twice the cell then has twice the energy.

    Args:
        shapes: of the leaves, without the axis of samples.
        outputs: how many numbers the dataset's first target has.
        readout: ``cloud`` or ``energy``.
        width: of values and messages.
        depth: rounds of messages.
        cutoff: how far messages go; None for everywhere, or in a cell :data:`USUAL_CUTOFF`.
        images: cells to either side in which neighbours are looked for.
        neighbours: of an atom within the cutoff, at most.
    """

    def __init__(
        self,
        *,
        shapes: Shapes,
        outputs: int,
        readout: str,
        width: int,
        depth: int,
        cutoff: float | None,
        images: int,
        neighbours: int,
    ) -> None:
        super().__init__(shapes, outputs, readout)
        self.cutoff = USUAL_CUTOFF if cutoff is None and "cell" in shapes else cutoff
        self.images, self.most = images, neighbours
        self.start = starts(width, shapes)
        self.rounds = nn.ModuleList(Round(width) for _ in range(depth))
        self.head = Head(width, self.count, each=self.each, adds=readout == "energy")

    def near(self, cloud: Cloud) -> Neighbours | None:
        """All within the cutoff."""
        if self.cutoff is None:
            return None
        where = (cloud.positions, cloud.mask, cloud.cell, cloud.periodic)
        return within(*where, cutoff=self.cutoff, images=self.images, most=self.most)

    def answer(self, cloud: Cloud) -> Tensor:
        """As :meth:`PointNetwork.answer`, of positions, species and cells."""
        heard = Heard.of_all(cloud.positions, cloud.mask)
        if self.cutoff is not None and cloud.near is not None:
            squares = squared(cloud.near.apart(cloud.positions, cloud.cell))
            shares = envelope(squares, self.cutoff) * cloud.near.real[..., None]
            heard = Heard(squares, cloud.near.index, shares, USUAL_NEIGHBOURS)
        h = self.start(cloud)
        for each in self.rounds:
            h = each(h, heard)
        out: Tensor = self.head(h, cloud.mask)
        return out
