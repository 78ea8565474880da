"""Numbers to pixels: what an image's dtype, range and layout make of it. Float32 in [0, 1], channels first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image as Pil
from torch import Tensor

from symbench.base.errors import DataError, Problem

Range = tuple[float, float]
"""What black and white are stored as."""
FULL = {torch.uint8: 255, torch.uint16: 65535, torch.bool: 1}
"""What white is stored as where nothing else is said, by dtype."""
ROUNDING = {torch.float16: 2e-3, torch.bfloat16: 2e-2}
"""How far beyond [0, 1] rounding may have taken a pixel, by dtype; ``FINE`` for all others."""
FINE = 1e-6
"""Antialiased resizing in float32 makes 1 + 1e-7 of 1; what overshoots in earnest does so by hundredths."""
CHANNELS = (1, 3, 4)
"""Numbers of channels by which an axis is taken for that of the channels."""
FAINT = 0.25
"""Images that use less of their range are taken for stored in another one."""


def to_image(value: Any, *, where: str, span: Range | None = None, layout: str = "auto") -> Tensor:
    """One image as float32 ``(c, h, w)`` in [0, 1].

    Args:
        value: a PIL image, or a tensor or an array ``(c, h, w)`` or ``(h, w)``.
        where: the dataset and the sample, for messages.
        span: what black and white are stored as; else 0 and 255 (uint8), 65,535 (uint16) or 1.
        layout: ``nchw`` or ``nhwc`` where it is not to be guessed that ``(15, 20, 3)`` has its channels last.

    Raises:
        DataError: the value is no image, leaves its range, or seems to have its channels last.
    """
    if isinstance(value, Pil.Image):
        image, layout = _from_pillow(value, span, where), "nhwc"
    elif isinstance(value, (Tensor, np.ndarray)):
        image = as_tensor(value, where)
    else:
        raise DataError(Problem(where, f"got a {type(value).__name__}", "a PIL image, a tensor or an array"))
    image = image[None] if image.ndim == 2 else _channels_first(image, layout, where)
    if image.ndim != 3 or 0 in image.shape:
        raise DataError(Problem(where, f"got an image of shape {tuple(image.shape)}", "(c, h, w)"))
    return to_unit(image[None], span, lambda _: where)[0]


def as_tensor(value: Tensor | np.ndarray, where: str) -> Tensor:
    """An array or a tensor as a tensor on the CPU, of the same dtype.

    Raises:
        DataError: torch has no such numbers.
    """
    if isinstance(value, Tensor):
        return value.detach().cpu()
    # torch takes no array of another byte order, as FITS and IDX files have, nor one with negative strides, as flips
    # have: both are copied.
    try:
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        return torch.from_numpy(np.ascontiguousarray(native))
    except TypeError as error:
        raise DataError(Problem(where, f"got an array of {value.dtype}", "uint8, or float in [0, 1]")) from error


def to_unit(values: Tensor, span: Range | None, where: Callable[[int], str]) -> Tensor:
    """Stored numbers as float32 in [0, 1]; pixels that rounding took beyond it are clamped.

    Args:
        values: ``(n, ...)``, of any dtype.
        span: what black and white are stored as; None where the dtype says.
        where: what to call the sample with a number, for messages.

    Raises:
        DataError: integers of a dtype that does not say what white is, or a sample leaves the range: how far, and in
            how many pixels.
    """
    if span is None and not values.is_floating_point() and values.dtype not in FULL:
        got, remedy = f"got an image of {values.dtype}", "Say what black and white are, as range: [0, 4095]."
        raise DataError(Problem(where(0), got, "uint8, uint16, or float in [0, 1]", remedy))
    if span is not None:
        low, high = span
        # In float64: 16-bit numbers in a range far from 0 lose their last digits to float32 before they are shifted.
        unit = ((values.double() - low) / (high - low)).float()
    else:
        unit = values.float()
        # In place: float() of integers is a new tensor. Of floating point it may be the caller's own.
        unit = unit.div_(FULL[values.dtype]) if values.dtype in FULL else unit
    tolerance = ROUNDING.get(values.dtype, FINE)
    inside = (unit >= -tolerance) & (unit <= 1 + tolerance)  # written so that NaN is not
    if not inside.all():
        first = int(torch.nonzero(~inside.flatten(1).all(1))[0])
        raise _beyond(values[first], ~inside[first], unit[first], span, where(first))
    return unit.clamp(0, 1)


def _beyond(values: Tensor, wrong: Tensor, unit: Tensor, span: Range | None, where: str) -> DataError:
    """The error for an image with pixels outside of its range."""
    count = f"{int(wrong.sum()):,} of {wrong.numel():,}"
    low, high = span or (0, 1)
    expected = f"values in [{low:g}, {high:g}]"
    if not torch.isfinite(unit).all():
        return DataError(Problem(where, f"got {count} pixels that are NaN, infinite or beyond", expected))
    over = float(torch.maximum(unit - 1, -unit).max())
    stored = values.double()  # torch finds no minimum of uint16
    got = f"got pixels from {stored.min().item():.4g} to {stored.max().item():.4g}"
    got += f", {count} of them beyond by up to {over * (high - low):.2g}"
    if span is not None:
        remedy = "Widen range: on the dataset's entry."
    elif over <= 0.2:
        remedy = (
            "Clip what an interpolation overshoots, image.clip(0, 1); normalisation belongs to the model's entry."
        )
    elif stored.min().item() >= 0 and 100 < stored.max().item() <= 255:
        remedy = "If black is 0 and white 255, say range: [0, 255] on the dataset's entry, or give uint8."
    else:
        remedy = "Normalisation belongs to the model's entry (mean, std), after the transformation."
    return DataError(Problem(where, got, expected, remedy))


def _from_pillow(value: Pil.Image, span: Range | None, where: str) -> Tensor:
    """The stored numbers of a PIL image, ``(h, w)`` or ``(h, w, c)``.

    Raises:
        DataError: they are 32 bits wide, and no range says what white is.
    """
    if value.mode in {"I", "F"} and span is None:
        got, remedy = f"got an image of mode {value.mode}", "Say what black and white are, as range: [0, 4095]."
        raise DataError(Problem(where, got, "8 or 16 bits a channel", remedy))
    # Modes whose numbers are the picture: those of a palette are places in a list of colours, those of CMYK are ink.
    whole = value.mode in {"L", "RGB", "I", "F"} or value.mode.startswith("I;16")
    return as_tensor(np.array(value if whole else value.convert("RGB")), where)


def _channels_first(image: Tensor, layout: str, where: str) -> Tensor:
    """An image of three axes with the channels in the first.

    Raises:
        DataError: they seem to stand in the last, and nothing says so: a mirror would exchange red and blue.
    """
    if layout == "nhwc":
        return image.movedim(-1, 0)
    if layout == "auto" and image.ndim == 3 and _looks_last(*image.shape):
        got = f"got an image of shape {tuple(image.shape)}, which looks like height x width x channels"
        remedy = "Return image.transpose(2, 0, 1), or say layout: nhwc on the dataset's entry (nchw if it is none)."
        raise DataError(Problem(where, got, "(c, h, w)", remedy))
    return image


def _looks_last(first: int, second: int, last: int) -> bool:
    """Whether a shape is ``(height, width, channels)`` rather than ``(channels, height, width)``.

    ``(3, 20, 3)`` may be either and is what it ought to be; ``(16, 4, 4)`` has 16 channels of 4 x 4.
    """
    return last in CHANNELS and first not in (*CHANNELS, 2) and second != last


@dataclass
class Use:
    """The range of pixel values seen so far in some images, to notice those that are stored in another range.

    Attributes:
        low: the darkest pixel, of [0, 1].
        high: the brightest.
        samples: how many images were read.
        dtype: of the last.
    """

    low: float = 1.0
    high: float = 0.0
    samples: int = 0
    dtype: torch.dtype | None = None

    def see(self, images: Tensor, dtype: torch.dtype | None) -> None:
        """Widen the range by images ``(n, ...)`` in [0, 1], which were stored in ``dtype``."""
        self.low, self.high = min(self.low, float(images.min())), max(self.high, float(images.max()))
        self.samples, self.dtype = self.samples + len(images), dtype

    def remark(self, span: Range | None, where: str, remedy: str = "") -> list[str]:
        """A warning, in a list, about images that use less than a quarter of their range; no warning for others.

        They may be stored in another range than they are read by, and would be nearly black or of one grey.

        Args:
            span: what black and white are stored as, where that was said.
            where: the dataset.
            remedy: what can be done where no range can be said.
        """
        if self.samples == 0 or self.high - self.low >= FAINT:
            return []
        full = FULL.get(self.dtype, 1) if self.dtype is not None else 1
        low, high = span or (0, full)
        stored = (low + self.low * (high - low), low + self.high * (high - low))
        count = "1 image" if self.samples == 1 else f"{self.samples:,} images"
        said = f"{where}: the pixels of {count} go from {stored[0]:.4g} to {stored[1]:.4g}, less than a quarter of"
        said += f" [{low:g}, {high:g}]"
        if span is None and full > 1 and stored[1] > 0:
            said += remedy or f": say range: [0, {_whole_bits(stored[1])}] if that is white"
        return [f"{said}."]


def _whole_bits(value: float) -> int:
    """The largest number of as many bits as this one takes: 4,095 for 3,900."""
    return (1 << max(1, round(value)).bit_length()) - 1


def stored_dtype(value: Any) -> torch.dtype | None:
    """The dtype that an image's numbers are stored in; None for what is no image."""
    if isinstance(value, Tensor):
        return value.dtype
    if isinstance(value, Pil.Image):
        return torch.uint16 if value.mode.startswith("I;16") else torch.uint8
    return getattr(torch, value.dtype.name, None) if isinstance(value, np.ndarray) else None
