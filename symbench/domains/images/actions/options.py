"""The options of our own actions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Limits
from pydantic import model_validator

from symbench.base.registry import Options

Fill = Annotated[float, Limits(ge=0, le=1)]


class BorderOptions(Options):
    """What lies beyond the edge of the frame. An option that no border uses is a mistake, and is refused.

    ``crop`` looks at the middle of a larger canvas, ``margin`` pixels in from each side, so that nothing is filled
    in: a model's ``size`` is what it sees, and images are brought to ``size + 2 margin``. ``disc`` fades every image,
    the unmoved one too, to ``fill`` outside an inscribed disc with an edge of ``taper`` pixels.
    """

    border: str
    fill: Fill = 0.0
    margin: Annotated[int, Limits(ge=0, le=4096)] = 0

    @model_validator(mode="after")
    def _nothing_is_idle(self) -> BorderOptions:
        if self.fill and self.border not in {"fill", "disc"}:
            raise ValueError(f"fill: {self.fill} needs border: fill or disc, and border is {self.border}")
        if bool(self.margin) != (self.border == "crop"):
            raise ValueError("margin: N and border: crop need each other")
        return self


Border = Literal["zero", "fill", "circular", "reflect", "crop", "disc"]


class ResampleOptions(BorderOptions):
    """How pixels between pixels are found.

    ``bicubic`` is Keys' kernel with a = -1/2, as resizing has it. ``fourier`` is exact on band-limited
    images with room around them, and worse than ``bicubic`` on noise.
    """

    interpolation: Literal["bilinear", "bicubic", "fourier"] = "bilinear"
    border: Border = "zero"
    taper: Annotated[float, Limits(ge=4)] = 4.0


class TurnOptions(ResampleOptions):
    """How turns resample.

    With ``oversample: N`` every image, the unmoved one too, is moved on a canvas N times as fine and averaged back:
    all are low-passed alike, and resampling blurs little where pixels are small. It is done to inputs only, for
    outputs have the model's own pixels.
    """

    oversample: Annotated[int, Limits(ge=1, le=8)] = 1

    @model_validator(mode="after")
    def _fourier_needs_none(self) -> TurnOptions:
        if self.oversample > 1 and self.interpolation == "fourier":
            raise ValueError(
                f"oversample: {self.oversample} needs interpolation: bilinear or bicubic; fourier is exact on what "
                "oversampling would help"
            )
        return self


class ZoomOptions(TurnOptions):
    """How scalings resample: a filter widened when reducing (antialiased)."""

    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


class ShiftOptions(BorderOptions):
    """Circular, zero, reflected and cropped shifts are different questions: the suite has to say which it asks."""

    border: Literal["circular", "zero", "fill", "reflect", "crop"]
