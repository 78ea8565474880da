"""Frame averaging: Puny et al., 2022. Any network, shown each cloud in the frames of its own principal axes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symbench.domains.points.models.base import Cloud, PointNetwork, Shapes
from symbench.domains.points.models.point_mlp import PointMlp
from symbench.domains.points.models.point_transformer import PointTransformer
from symbench.domains.points.models.pointnet import PointNet

INNER: dict[str, tuple[Any, dict[str, int]]] = {
    "point-mlp": (PointMlp, {}),
    "pointnet": (PointNet, {}),
    "point-transformer": (PointTransformer, {"depth": 2, "heads": 4}),
}
"""What can stand inside, and what it takes beside its width."""


class FrameAveraged(PointNetwork):
    """Exact under E(3), whatever stands inside; and under the permutations that this is exact under.

    The mean over the 8 frames that principal axes make about the centroid, since each may point either way; vectors
    are turned back. Where two variances of a cloud are the same, as a cube's are, its axes are not defined: exactness
    ends at such ties, and near them rounding grows as the variances come together.

    Args:
        shapes: of the leaves, without the axis of samples.
        outputs: how many numbers the dataset's first target has.
        readout: ``cloud``, ``vectors``, ``positions`` or ``energy``.
        width: of what stands inside.
        of: what that is.
        chiral: take the 4 frames that are rotations alone: tells mirror images apart, and is exact under SE(3).
    """

    def __init__(self, *, shapes: Shapes, outputs: int, readout: str, width: int, of: str, chiral: bool) -> None:
        super().__init__(shapes, outputs, readout)
        self.chiral = chiral
        inner, more = INNER[of]
        self.inner: PointNetwork = inner(shapes=shapes, outputs=outputs, readout=readout, width=width, **more)

    def answer(self, cloud: Cloud) -> Tensor:
        """As :meth:`PointNetwork.answer`, of positions alone."""
        x = cloud.positions - cloud.positions.mean(dim=1, keepdim=True)
        axes = frames(x, rotations=self.chiral)  # (n, f, 3, 3), an axis in each column
        seen = Cloud((x[:, None] @ axes).flatten(0, 1))
        out = self.inner.answer(seen).unflatten(0, axes.shape[:2])
        return (out @ axes.mT if self.each else out).mean(dim=1)


def frames(x: Tensor, *, rotations: bool) -> Tensor:
    """The principal axes of centred clouds ``(n, points, 3)``, in rising order, each pointing either way.

    Args:
        x: the clouds.
        rotations: those frames alone that are right-handed.

    Returns:
        ``(n, 8, 3, 3)``, or ``(n, 4, 3, 3)``: axes in columns.
    """
    axes = torch.linalg.eigh(x.mT @ x / x.shape[1]).eigenvectors
    either = 1 - 2 * torch.arange(2, device=x.device, dtype=x.dtype)
    if not rotations:
        return axes[:, None] * torch.cartesian_prod(either, either, either)[:, None]
    two = torch.cartesian_prod(either, either)
    right = torch.cat([two, two.prod(dim=1, keepdim=True)], dim=1)
    a, b, c = axes.unbind(-1)
    hand = (a * (b.roll(-1, -1) * c.roll(-2, -1) - b.roll(-2, -1) * c.roll(-1, -1))).sum(-1).sign().detach()
    return axes[:, None] * right[:, None] * hand[:, None, None, None]
