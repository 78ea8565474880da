"""What samples are brought to before a model sees them, where it takes one size only. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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


Canvas = int | Frame
"""What images are brought to: pixels a side, or a frame."""
