"""What samples are brought to before a model sees them, where it takes one size only. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Placement:
    """Where a canvas stands in an image: something is cut out and resized, and some of that is kept.

    Attributes:
        cut: top, left, height and width of what is resized, in pixels of the image.
        size: height and width that it is resized to.
        corner: top and left of what is kept of that.
        side: pixels a side of what is kept.
    """

    cut: tuple[int, int, int, int]
    size: tuple[int, int]
    corner: tuple[int, int]
    side: int

    @property
    def scale(self) -> tuple[float, float]:
        """How much longer heights and widths become."""
        return self.size[0] / self.cut[2], self.size[1] / self.cut[3]


@dataclass(frozen=True)
class Frame:
    """How an image of any size becomes a square one: resized, and its middle kept.

    Attributes:
        side: pixels a side of what is kept.
        resize: what the shorter side becomes first, or height and width, which does not keep the proportions.
        interpolation: of the resizing, antialiased.
        crop: which way half a pixel goes: ``round`` to even as in torchvision, or ``floor`` as in transformers.
    """

    side: int
    resize: int | tuple[int, int]
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    crop: Literal["round", "floor"] = "round"

    def __str__(self) -> str:
        return f"{self.side} of {self.resize} {self.interpolation} {self.crop}"

    @classmethod
    def of(cls, canvas: int | Frame) -> Frame:
        """A canvas as a frame: of one that is a number, the shorter side becomes that."""
        return canvas if isinstance(canvas, Frame) else cls(canvas, canvas)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that an image is resized to."""
        if not isinstance(self.resize, int):
            return self.resize
        short = min(height, width)
        return int(self.resize * height / short), int(self.resize * width / short)

    def corner(self, height: int, width: int) -> tuple[int, int]:
        """Top and left of what is kept of a resized image."""
        top, left = (height - self.side) / 2, (width - self.side) / 2
        return (round(top), round(left)) if self.crop == "round" else (int(top), int(left))

    def placed(self, height: int, width: int, longest: int | None = None) -> Placement:
        """Where the frame stands in an image of this height and width.

        Args:
            height: of the image, in pixels.
            width: of the image, in pixels.
            longest: images more than this many times as long as wide lose their ends before they are resized, where
                the proportions are kept; None resizes all of them.
        """
        top = left = 0
        if longest is not None and isinstance(self.resize, int):
            most = longest * min(height, width)
            top, left = (height - min(height, most)) // 2, (width - min(width, most)) // 2
        cut = (top, left, height - 2 * top, width - 2 * left)
        size = self.resized(*cut[2:])
        return Placement(cut, size, self.corner(*size), self.side)


Canvas = int | Frame
"""What images are brought to: pixels a side, or a frame."""
