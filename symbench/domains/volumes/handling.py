"""What can be done with numbers over the grid of a volume: its middle slice is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from symbench.algebra.fields import Field, Grid
from symbench.domains.common.handling import Handling
from symbench.domains.images import drawing
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
        return png(middle(sample))

    def drawn(self, sample: Tensor, value: Tensor, field: Field, other: Tensor | None = None) -> bytes | None:
        """Classes of the middle slice as colours."""
        if field.grid is None or field.grid.size != 3 or sample.ndim != 4 or field.behind != len(field.places) + 2:
            return None
        flat = field.value.over(Grid(field.grid.name))
        among = None if other is None else other[..., other.shape[-3] // 2, :, :]
        return drawing.drawn(middle(sample), value[..., value.shape[-3] // 2, :, :], flat, among)

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


def middle(volume: Tensor) -> Tensor:
    """The middle slice along z of ``(c, d, h, w)``, its numbers stretched over [0, 1]; ``(c, h, w)``."""
    found = volume[:, volume.shape[1] // 2].float()
    low, high = found.min(), found.max()
    return (found - low) / (high - low).clamp(min=1e-12)
