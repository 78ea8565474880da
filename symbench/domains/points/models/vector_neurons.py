"""Vector neurons: Deng et al., 2021. Channels are vectors, which linear layers mix and never take apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symbench.domains.points.models.base import Cloud, Head, PointNetwork, Shapes, dense
from symbench.domains.points.models.messages import others

SMALL = 1e-6
"""Added to squared lengths of directions, which may be 0."""


class VectorLinear(nn.Module):
    """Channels mixed, ``(..., inputs, 3)`` to ``(..., outputs, 3)``; no intercept, which would point somewhere."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Linear(inputs, outputs, bias=False).weight

    def forward(self, x: Tensor) -> Tensor:
        """The channels, mixed."""
        return self.weight @ x


class VectorRelu(nn.Module):
    """Each channel without what of it points against a direction, which is learnt as the channel itself is."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.values, self.directions = VectorLinear(inputs, outputs), VectorLinear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., inputs, 3)`` to ``(..., outputs, 3)``."""
        q, k = self.values(x), self.directions(x)
        against = (q * k).sum(dim=-1, keepdim=True).clamp(max=0)
        out: Tensor = q - against / (k.square().sum(dim=-1, keepdim=True) + SMALL) * k
        return out


class VectorNeurons(PointNetwork):
    """Exact under E(3) and permutations: vectors are taken from the centroid and from other points.

    Args:
        shapes: of the leaves, without the axis of samples.
        outputs: how many numbers the dataset's first target has.
        readout: ``cloud``, ``vectors``, ``positions`` or ``energy``.
        width: channels.
        depth: layers.
        chiral: also start from cross products, which a mirror turns the other way than it turns vectors: what mixes
            both tells a shape from its mirror image, and is exact under rotations and not under reflections.
    """

    def __init__(self, *, shapes: Shapes, outputs: int, readout: str, width: int, depth: int, chiral: bool) -> None:
        super().__init__(shapes, outputs, readout)
        self.chiral = chiral
        self.pairs = VectorRelu(3 if chiral else 2, width)
        self.layers = nn.ModuleList(VectorRelu(2 * width, width) for _ in range(depth - 1))
        if self.each:
            self.vector = VectorLinear(width, 1)
        else:
            self.frame, self.invariants = VectorLinear(width, 3), dense(3 * width, width, width)
            self.head = Head(width, self.count, each=False)

    def answer(self, cloud: Cloud) -> Tensor:
        """As :meth:`PointNetwork.answer`, of positions alone."""
        x = self.pairs(self.channels(cloud.positions)).mean(dim=2)  # (n, points, width, 3)
        for layer in self.layers:
            x = layer(torch.cat([x, x.mean(dim=1, keepdim=True).expand_as(x)], dim=2))
        if self.each:
            vectors: Tensor = self.vector(x)[:, :, 0]
            return vectors
        products = x @ self.frame(x).transpose(-2, -1)  # (n, points, width, 3), of components in a frame of its own
        out: Tensor = self.head(self.invariants(products.flatten(2)))
        return out

    def channels(self, positions: Tensor) -> Tensor:
        """The vectors of each pair of points, ``(n, points, points - 1, 2 or 3, 3)``."""
        x = positions - positions.mean(dim=1, keepdim=True)
        theirs = x[:, others(x.shape[1], x.device)]
        own = x[:, :, None].expand_as(theirs)
        vectors = [theirs - own, own, *([cross(theirs, own)] if self.chiral else [])]
        return torch.stack(vectors, dim=3)


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross products, ``(..., 3)``; by components, since torch counts no operations of its own function."""
    return a.roll(-1, -1) * b.roll(-2, -1) - a.roll(-2, -1) * b.roll(-1, -1)
