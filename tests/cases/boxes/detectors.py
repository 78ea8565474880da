"""Detectors of bright rectangles on black: exact ones, and such as are wrong in one way."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from scipy import ndimage
from squares import SHADES
from torch import Tensor, nn

from symbench.fields import Boxes, Field, Keypoints

Found = list[dict[str, Tensor]]


class Components(nn.Module):
    """A box about each connected piece of what is bright, which is exact: its shade is its class."""

    outputs: ClassVar[dict[str, Field]] = {"boxes": Boxes(classes=2)}

    def forward(self, images: Tensor) -> Found:
        """Of images ``(n, c, h, w)`` the detections, one mapping each."""
        return [self.found(image[0]) for image in images]

    def found(self, image: Tensor) -> dict[str, Tensor]:
        """Of one channel."""
        pieces, count = ndimage.label((image > sum(SHADES) / 8).cpu().numpy())
        rows = [self.row(image, np.argwhere(pieces == number)) for number in range(1, count + 1)]
        table = torch.stack(rows) if rows else image.new_zeros(0, 6)
        return {"boxes": table[:, :4], "scores": table[:, 4], "labels": table[:, 5].long()}

    def row(self, image: Tensor, places: np.ndarray) -> Tensor:
        """Edges, score and class of some pixels ``(m, 2)``."""
        (top, left), (bottom, right) = places.min(0), places.max(0) + 1
        shade = float(image[tuple(places[0])])
        kind = int(abs(shade - SHADES[1]) < abs(shade - SHADES[0]))
        return image.new_tensor([left, top, right, bottom, 0.9, kind])


class Constant(nn.Module):
    """The same two boxes for every image."""

    outputs: ClassVar[dict[str, Field]] = {"boxes": Boxes()}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Packed rows ``(n, 3, 6)``."""
        rows = [[0, 0, 8, 8, 0.9, 0], [0, 0, 16, 16, 0.9, 1], [0, 0, 0, 0, 0, -1]]
        return {"boxes": images.new_tensor(rows).expand(len(images), -1, -1)}


class Nothing(Components):
    """Finds nothing anywhere."""

    def found(self, image: Tensor) -> dict[str, Tensor]:
        """Three empty tensors."""
        return {name: each[:0] for name, each in super().found(image).items()}


class Plain(Components):
    """Edges one by one to the right place, but told otherwise than as left, top, right, bottom."""

    told = "yx"

    def found(self, image: Tensor) -> dict[str, Tensor]:
        """As it is told."""
        found = super().found(image)
        low, high = found["boxes"].split(2, 1)
        found["boxes"] = {
            "yx": torch.cat([low.flip(1), high.flip(1)], 1),
            "xywh": torch.cat([low, high - low], 1),
            "parts": torch.cat([low, high], 1) / len(image),
            "nan": torch.cat([low, high], 1) * torch.nan,
        }[self.told]
        return found


class Corners(Components):
    """The left top corner and the right bottom one of the first object, as named points."""

    outputs: ClassVar[dict[str, Field]] = {"points": Keypoints()}

    def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Points ``(n, 2, 2)``; the image's middle where there is none."""
        middle = images.new_full((1, 4), len(images[0, 0]) / 2)
        boxes = [torch.cat([self.found(image[0])["boxes"], middle])[0].view(2, 2) for image in images]
        return {"points": torch.stack(boxes)}


def told(how: str) -> Plain:
    """A detector whose boxes are told in this way."""
    found = Plain()
    found.told = how
    return found


class Upwards(Components):
    """Boxes whose y goes up from the image's lower edge."""

    def found(self, image: Tensor) -> dict[str, Tensor]:
        """With the lower edge's y before the upper one's."""
        found = super().found(image)
        left, top, right, bottom = found["boxes"].unbind(1)
        found["boxes"] = torch.stack([left, len(image) - bottom, right, len(image) - top], 1)
        return found


class Point(Corners):
    """The middle of the largest object, told in one way or another."""

    told = "xy"

    def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """A point ``(n, 1, 2)``."""
        middle = torch.stack([self.middle(image[0]) for image in images])
        side = len(images[0, 0])
        told = {
            "xy": middle,
            "yx": middle.flip(-1),
            "up": torch.stack([middle[:, 0], side - middle[:, 1]], -1),
            "parts": middle / side,
            "centre": middle - 0.5,
        }
        return {"points": told[self.told][:, None]}

    def middle(self, image: Tensor) -> Tensor:
        """Of what is bright, weighted by how bright it is."""
        y, x = torch.meshgrid(*(torch.arange(len(image)).to(image) + 0.5 for _ in range(2)), indexing="ij")
        weight = image.sum()
        found = torch.stack([(image * x).sum(), (image * y).sum()]) / weight.clamp(min=1e-9)
        return torch.where(weight > 0, found, torch.full_like(found, len(image) / 2))


def point(how: str) -> Point:
    """A model whose point is told in this way."""
    found = Point()
    found.told = how
    return found


class Shaken(Components):
    """Finds every object a little beside itself, and some as of the other class."""

    def row(self, image: Tensor, places: np.ndarray) -> Tensor:
        """Edges off by what depends on where they are; the score too, and some classes are wrong."""
        found = super().row(image, places)
        left, top = int(found[0]), int(found[1])
        off = (
            image.new_tensor([left % 3, top % 3, (left + top) % 4, left % 2]) * 0.2437
        )  # no overlap is a threshold exactly
        found[:4] += off * image.new_tensor([-1, 1, 1, -1])
        # one of its own for each object of each image: which of equals comes first is everybody's own affair
        found[4] = 0.5 + (0.137 * left + 0.0713 * top + 0.291 * float(image.sum())) % 1 / 2
        found[5] = (found[5] + (left * top) % 5 // 4) % 2
        return found


class Sides(Corners):
    """The middles of what is in the left half and in the right one, as two points: a mirror exchanges them."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Points ``(n, 2, 2)``."""
        half = images.shape[-1] // 2
        left, right = images.clone(), images.clone()
        left[..., half:], right[..., :half] = 0, 0
        return {"points": middles(left, right)}


class Shades(Corners):
    """The middles of what is dim and of what is bright, as two points: nothing exchanges them."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Points ``(n, 2, 2)``."""
        dim = images * (images < sum(SHADES) / 2)
        return {"points": middles(dim, images - dim)}


def middles(*images: Tensor) -> Tensor:
    """Of images ``(n, c, h, w)`` the middles of what is bright in each, ``(n, images, 2)``."""
    return torch.stack([torch.stack([Point().middle(each[0]) for each in some]) for some in images], 1)
