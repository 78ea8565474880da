"""A network equivariant under flips and half turns: the wrong group of equal order, where quarter turns are right."""

from __future__ import annotations

from symbench.domains.images.models.plane_group import D2, PlaneGroupCnn


class P2mmCnn(PlaneGroupCnn):
    """Group convolutions over p2mm: translations, flips along either axis, and half turns.

    It shares as many weights as the p4 network of the same width, in as many layers of the same cost: what differs is
    the group alone. The logits do not change under the four elements of D2 on images of any height and width, up to
    rounding, and do change under quarter turns. Even sides are halved as in the p4m network.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__(D2, shape=shape, outputs=outputs, width=width)
