"""A network equivariant under quarter turns and mirrors: Cohen & Welling, 2016."""

from __future__ import annotations

from symbench.domains.images.models.plane_group import D4, PlaneGroupCnn


class P4mCnn(PlaneGroupCnn):
    """Group convolutions over p4m: translations, quarter turns and mirrors.

    The logits do not change under the eight elements of D4 on square images of any side, up to rounding: a layer that
    halves its input strides on odd sides, and on even ones averages neighbours first.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__(D4, shape=shape, outputs=outputs, width=width)
