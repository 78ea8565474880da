"""A network that answers how an image is turned: its classes move on with every quarter turn of the image."""

from __future__ import annotations

from torch import Tensor

from symbench.base.errors import ModelError, Problem
from symbench.domains.images.models.plane_group import C4, PlaneGroupCnn


class P4Orientation(PlaneGroupCnn):
    """The group convolutions of ``p4-cnn``, of whose four orientations each is scored by the same weights.

    ``p4-cnn`` takes the maximum over orientations and so forgets them. Here they are the answer, as a regular
    representation (Cohen & Welling, "Group Equivariant Convolutional Networks", 2016): a turn of the image by
    ``360 / outputs`` degrees carries the score of every class to the next, up to rounding, on square images of any
    side. With two classes, neighbouring orientations share one, and it is half turns that exchange them.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        if outputs not in (2, 4):
            remedy = "The digits have 4 with label: orientation, and 2 with label: overturned-six."
            raise ModelError(
                Problem("p4-orientation", f"got {outputs} classes", "2 or 4, which turns permute", remedy)
            )
        # One score for an orientation, whichever it is. Its bias is common to all classes and changes no probability.
        super().__init__(C4, shape=shape, outputs=1, width=width)
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        maps = self.features(x).unflatten(1, (-1, self.order))  # (n, width, 4, h, w)
        scores: Tensor = self.head(maps.mean(dim=(-2, -1)).transpose(1, 2))[..., 0]  # (n, 4)
        return scores.unflatten(1, (self.outputs, -1)).mean(-1)
