"""What outputs deviate by at each place; or for each place, where an output grows with how many a sample has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symbench.algebra.comparison import Comparison, PerPlace
from symbench.algebra.fields import Field
from symbench.measure.tasks import Task

COSINE = 2
"""Numbers at a place from which on they have a direction."""


@dataclass(frozen=True)
class ByPlace:
    """The places of an output.

    Attributes:
        axis: its name, those of several joined; what an extensive output grows with.
        at: its places.
        extensive: the output is one of the whole sample, and is divided by how many places that has.
    """

    axis: str
    at: PerPlace
    extensive: bool

    def columns(self, moved: Tensor, expected: Tensor, samples: Sequence[int]) -> dict[str, Tensor]:
        """The columns of observations of ``f(g.x)`` and ``g.f(x)``, ``(k, n, *output)``; each ``(k, n)``."""
        counts = self.at.counts(samples).to(moved.device).expand(moved.shape[:2])
        if self.extensive:
            off = torch.linalg.vector_norm((moved - expected).flatten(2), dim=-1)
            return {"places": counts, "place_mean": off / counts.clamp(min=1)}
        a, b = (self.at.masked(x.double(), samples) for x in (moved, expected))  # (k, n, places, d)
        off = torch.linalg.vector_norm(a - b, dim=-1)
        largest, worst = off.max(-1)
        found = {
            "places": counts,
            "place_mean": off.sum(-1) / counts.clamp(min=1),
            "place_largest": largest,
            "place_worst": worst.to(torch.int32),
        }
        if a.shape[-1] >= COSINE:
            real = self.at.real(samples).to(a.device)
            found["place_cosine"] = (cosines(a, b) * real).sum(-1) / counts.clamp(min=1)
        return found

    def describe(self, counts: Tensor) -> dict[str, Any]:
        """What a reader of the observations has to know, with the places of each sample."""
        return {"axis": self.axis, "extensive": self.extensive, "places": float(counts.mean())}


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """Of ``(..., d)``: 1 where both are zero, since nothing deviates, and 0 where one is, which has no direction."""
    long, other = (torch.linalg.vector_norm(x, dim=-1) for x in (a, b))
    both = long * other
    found = (a * b).sum(-1) / torch.where(both > 0, both, torch.ones_like(both))
    return torch.where((long == 0) & (other == 0), torch.ones_like(found), found)


def by_place(
    task: Task,
    comparison: Comparison,
    axes: Sequence[str],
    leaves: Mapping[str, tuple[Field, tuple[int, ...]]],
    sizes: Mapping[str, Sequence[int]],
) -> ByPlace | None:
    """The places of an output; None where it has none and is not declared to grow with any.

    Args:
        task: the output.
        comparison: of it with those of other samples.
        axes: that it stands along.
        leaves: each with its field and the shape of one sample.
        sizes: by axis, how many places each sample of the dataset has, where samples differ in it.
    """
    if isinstance(comparison, PerPlace):
        return ByPlace(" x ".join(axes), comparison, extensive=False)
    if task.per is None:
        return None
    known = (length for field, shape in leaves.values() for name, length in field.lengths(shape) if name == task.per)
    width = next((length for length in known if length is not None), None)
    return None if width is None else ByPlace(task.per, PerPlace((width,), (sizes.get(task.per),)), extensive=True)
