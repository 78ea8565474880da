"""What the costs of a cell's controls depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from symbench.algebra.actions.base import KINDS, SHARP
from symbench.algebra.controls import suiting
from symbench.algebra.fields import Field
from symbench.domains.common.handling import handling_of
from symbench.measure.assemble import Prepared
from symbench.measure.evaluate.job import kinds_among


@dataclass(frozen=True)
class Extent:
    """What the costs of a cell's controls depend on, known before anything runs; batches are no part of it.

    Attributes:
        samples: that controls may take, at most.
        sharp: elements of which nothing is lost.
        resampled: elements that are resampled.
        generators: of the group, where the leaf has derivatives along them.
        outputs: of the model.
        layers: of the model that the suite names.
        scales: other sizes of the image that may be tried, the nearest first, each as the share of pixels that it has
            of the measured one.
        alike: elements of the kind that layers are compared under.
        brought: the controls of domains and plug-ins, with the samples that they show the model.
        moving: elements besides the identity.
        subgroups: finite ones that inputs can be made symmetric under.
        wide: what a float64 pass costs.
    """

    samples: int
    sharp: int = 0
    resampled: int = 0
    generators: int = 0
    outputs: int = 1
    layers: int = 0
    scales: Sequence[float] = ()
    alike: int = 0
    brought: Mapping[str, int] = field(default_factory=dict)
    moving: int = 0
    subgroups: int = 0
    wide: float = 1.0


def extent_of(
    prepared: Prepared,
    fields: Mapping[str, Field],
    samples: Sequence[int],
    *,
    wide: float,
    outputs: int = 1,
    layers: int = 0,
    side: int | None = None,
) -> Extent:
    """Of a cell.

    Args:
        prepared: the symmetry.
        fields: of the dataset's leaves.
        samples: that controls may take.
        wide: what a float64 pass costs.
        outputs: of the model.
        layers: of the model that the suite names.
        side: of the image that the model sees; None where it is not known.
    """
    found = kinds_among(prepared, samples)[1:]
    handling = handling_of(fields[prepared.on])
    sizes = [] if side is None or not handling.resizable else nearest(handling.nearby(side), side)
    return Extent(
        len(samples),
        sharp=sum(kind in SHARP for kind in found),
        resampled=found.count("resampled"),
        generators=len(prepared.actions[prepared.on].generators()),
        outputs=outputs,
        layers=layers if prepared.elements.shared is not None else 0,
        scales=[(size / side) ** 2 for size in sizes] if side else [],
        alike=found.count(min(found, key=KINDS.index)) if found else 0,
        brought={name: row.passes for name, row in suiting(fields).items()},
        moving=len(found),
        subgroups=len(prepared.subgroups),
        wide=wide,
    )


def nearest(sizes: Sequence[int], side: int) -> list[int]:
    """Sizes, the nearest to a side first."""
    return sorted(sizes, key=lambda size: abs(size - side))
