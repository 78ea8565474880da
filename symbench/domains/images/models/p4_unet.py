"""A U-Net of group convolutions: its maps turn with the image, exactly."""

from __future__ import annotations

from torch import Tensor, nn

from symbench.domains.common.models.enlarging import enlarged
from symbench.domains.images.models.plane_group import C4, GroupConv, OrbitNorm
from symbench.domains.images.models.unet import SLOPE


class P4Unet(nn.Module):
    """The layers of ``unet`` as convolutions over translations and quarter turns (Cohen & Welling 2016).

    Turning a square image by 90 degrees turns the logits, up to rounding, on odd and even sides alike: odd ones are
    halved to the places that lie symmetric about the centre, even ones to means of two neighbours, and both are
    enlarged again so. A mirror breaks it: a left and a right half can be told apart, however they are turned.

    Args:
        shape: ``(c, h, w)``.
        outputs: how many logits at each pixel.
        width: channels of the first layer, each at four orientations; each halving doubles them.
        depth: how often sides are halved.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, depth: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]

        def two(channels: int, to: int, *, stride: int = 1, orientations: int = C4.order) -> nn.Sequential:
            first = GroupConv(C4, channels, to, orientations=orientations, stride=stride)
            again = GroupConv(C4, to, to, orientations=C4.order, stride=1)
            layers = [
                part for each in (first, again) for part in (each, OrbitNorm(to, C4.order), nn.LeakyReLU(SLOPE))
            ]
            return nn.Sequential(*layers)

        self.lifted = two(shape[0], width, orientations=1)
        self.down = nn.ModuleList(two(each, 2 * each, stride=2) for each in widths[:-1])
        self.up = nn.ModuleList(two(3 * each, each) for each in widths[-2::-1])
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs, h, w)``."""
        x = self.lifted(x)
        before: list[Tensor] = []
        for layers in self.down:
            before.append(x)
            x = layers(x)
        x = enlarged(x, before, self.up)  # channels of both, each with its four maps
        out: Tensor = self.head(x.unflatten(1, (-1, C4.order)).mean(dim=2))
        return out
