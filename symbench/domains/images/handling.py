"""What can be done with numbers over the grid of an image: shown, brought to another size, normalised."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

import torch
from PIL import Image as Pil
from torch import Tensor

from symbench.algebra.fields import Field
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.handling import Handling
from symbench.domains.images import drawing
from symbench.domains.images.datasets.following import followed
from symbench.domains.images.datasets.resize import resize

LARGEST = 224
"""Pixels a side of a kept picture; larger ones are made smaller."""
ABOUT_SHAPES = re.compile(r"shape|size|channel|dimension|height|width|kernel|patch|reshape|view", re.IGNORECASE)
"""What errors say that come of images of another size or number of channels."""


class Pixels(Handling):
    """Channels ``(c, h, w)`` of numbers in [0, 1]."""

    noun = "pixels"
    normalised = True
    resizable = True
    pictured = True
    blank = True

    def resized(self, values: Tensor, canvas: Canvas | None) -> Tensor:
        """The shorter side is resized and the middle kept."""
        return resize(values, canvas)

    def followed(self, field: Field, target: Tensor, shape: tuple[int, ...], canvas: Canvas | None) -> Tensor:
        """Maps, boxes and points are resized and cut as their images are."""
        return followed(field, target, (shape[-2], shape[-1]), canvas)

    def nearby(self, side: int) -> list[int]:
        """Those at which strides of powers of two meet both edges alike: 4 either way, and ``m 2^j + 1`` and
        ``m 2^j`` next to it."""
        found = set(range(side - 4, side + 5))
        for power in (8, 16, 32):
            below = side // power * power
            found |= {below, below + 1, below + power, below + power + 1}
        return sorted(size for size in found if size > 4 and size != side)

    def rendered(self, sample: Tensor, beside: Mapping[str, Tensor] | None = None) -> bytes | None:
        """A picture, at most 224 pixels a side; None unless it has 1 or 3 channels."""
        del beside
        return png(sample)

    def drawn(self, sample: Tensor, value: Tensor, field: Field, other: Tensor | None = None) -> bytes | None:
        """Classes as colours, boxes as outlines, points as marks."""
        return drawing.drawn(sample, value, field, other)

    def about_failure(self, error: str, shape: tuple[int, ...]) -> str | None:
        """The model may want other images than it was given."""
        if len(shape) != 4 or not ABOUT_SHAPES.search(error):
            return None
        _, channels, height, width = shape
        grey = ", and channels: 3 if it takes colour" if channels == 1 else ""
        many = f"{channels} channel{'s' if channels > 1 else ''}"
        given = f"It was given images of {height} x {width} pixels and {many}"
        return f"{given}: if it takes others, add size: (pixels a side) to its entry{grey}."

    def about_turning(self, name: str, shape: tuple[int, ...]) -> str | None:
        """Its channels may be components that turn as well."""
        if shape[1] == 1:
            return None
        return (
            f"Image() says that the pixels of {name!r} move and its {shape[1]} channels do not. Components of "
            'vectors do: Vector().over(Grid("image")) says so, and channels({generator: matrix}).over(Grid("image")) '
            "of orientations and whatever else mixes."
        )


class Frames(Pixels):
    """Videos ``(frames, c, h, w)`` of numbers in [0, 1]: what is done with images is done with each frame."""

    noun = "pixels of frames"

    def resized(self, values: Tensor, canvas: Canvas | None) -> Tensor:
        """Every frame alike."""
        return super().resized(values.flatten(0, 1), canvas).unflatten(0, values.shape[:2])

    def rendered(self, sample: Tensor, beside: Mapping[str, Tensor] | None = None) -> bytes | None:
        """The middle frame."""
        return super().rendered(sample[len(sample) // 2], beside)

    def drawn(self, sample: Tensor, value: Tensor, field: Field, other: Tensor | None = None) -> bytes | None:
        """Nothing is drawn over frames."""
        del sample, value, field, other
        return None

    def about_failure(self, error: str, shape: tuple[int, ...]) -> str | None:
        """The model may want other videos than it was given."""
        if len(shape) != 5 or not ABOUT_SHAPES.search(error):
            return None
        return f"It was given videos of {shape[1]} frames, {shape[3]} x {shape[4]} pixels and {shape[2]} channels."

    def about_turning(self, name: str, shape: tuple[int, ...]) -> str | None:
        """Nothing is known of it."""
        del name, shape
        return None


def png(image: Tensor) -> bytes | None:
    """A picture ``(c, h, w)`` in [0, 1] as PNG, at most 224 pixels a side; None unless it has 1 or 3 channels."""
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        return None
    pixels = (image.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    picture = Pil.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((LARGEST, LARGEST))
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)  # the usual 6 takes twice as long for a tenth of the bytes
    return file.getvalue()
