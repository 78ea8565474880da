"""A network equivariant under quarter turns: Cohen & Welling, "Group Equivariant Convolutional Networks", 2016."""

from __future__ import annotations

from symbench.domains.images.models.plane_group import C4, GroupConv, PlaneGroupCnn


class P4Conv(GroupConv):
    """A convolution over the group p4 of translations and quarter turns.

    Feature maps are ``(n, channels * r, h, w)`` with ``r`` orientations, 1 for an image and 4 afterwards. Turning
    the input by 90 degrees turns the output's maps and moves every orientation to the next. With stride 2 this
    holds on odd sizes only: on even ones the sampling grid is not symmetric about the centre.
    """

    def __init__(self, channels: int, width: int, *, orientations: int, stride: int) -> None:
        super().__init__(C4, channels, width, orientations=orientations, stride=stride, pools_even=False)


class P4Cnn(PlaneGroupCnn):
    """A lifting convolution, three group convolutions, the mean over places and the maximum over orientations.

    The logits do not change under quarter turns of an image whose side stays odd under the two strides of 2
    (33, 17, 9), up to rounding. It strides on even sides as well, unlike its siblings, and so breaks there: networks
    that were trained on such images compute what they have always computed.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__(C4, shape=shape, outputs=outputs, width=width, pools_even=False)
