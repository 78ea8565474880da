"""What can be done with numbers over the grid of a volume: its middle slice is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from symbench.domains.common.handling import Handling
from symbench.domains.images.handling import png

ABOUT_SHAPES = re.compile(r"shape|size|channel|dimension|depth|height|width|kernel|reshape|view", re.IGNORECASE)
"""What errors say that come of volumes of another size or number of channels."""


class Voxels(Handling):
    """Channels ``(c, d, h, w)`` of numbers of any range.

    They are not brought to another size: what lies between two places is no measurement.
    """

    noun = "voxels"
    pictured = True
    blank = True

    def rendered(self, sample: Tensor, beside: Mapping[str, Tensor] | None = None) -> bytes | None:
        """The middle slice along z, from its least number in black to its largest in white; None unless it has 1 or 3
        channels."""
        del beside
        if sample.ndim != 4:
            return None
        slice_ = sample[:, sample.shape[1] // 2].float()
        low, high = slice_.min(), slice_.max()
        return png((slice_ - low) / (high - low).clamp(min=1e-12))

    def about_failure(self, error: str, shape: tuple[int, ...]) -> str | None:
        """The model may want other volumes than it was given."""
        if len(shape) != 5 or not ABOUT_SHAPES.search(error):
            return None
        channels, *sides = shape[1:]
        many = f"{channels} channel{'s' if channels > 1 else ''}"
        return f"It was given volumes of {' x '.join(map(str, sides))} voxels and {many}."

    def about_turning(self, name: str, shape: tuple[int, ...]) -> str | None:
        """Its channels may be components that turn as well."""
        if shape[1] == 1:
            return None
        return (
            f"Volume() says that the voxels of {name!r} move and its {shape[1]} channels do not. Components of "
            'vectors do: Vector().over(Grid("volume", 3)) says so.'
        )
