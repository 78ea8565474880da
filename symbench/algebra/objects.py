"""Boxes about the objects of an image: how they overlap, which detections are right, how far two sets are apart.

A row is a box: left, top, right and bottom edge, score and class, with y down; one of class -1, or without an area,
is no object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

EDGES, SCORE, CLASS = slice(0, 4), 4, 5
"""Where a row's numbers are."""
NONE = (0.0, 0.0, 0.0, 0.0, 0.0, -1.0)
"""A row that is no object."""
THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""The overlaps of COCO: 0.50, 0.55, ... 0.95."""


def are_objects(rows: Tensor) -> Tensor:
    """Which of ``(..., 6)`` are objects, bool ``(...)``."""
    left, top, right, bottom = rows[..., EDGES].unbind(-1)
    return (rows[..., CLASS] >= 0) & (right > left) & (bottom > top)


def objects_only(rows: Tensor, kept: Tensor) -> Tensor:
    """``(..., 6)`` with :data:`NONE` where a row is not kept, ``(...)``."""
    return torch.where(kept[..., None], rows, rows.new_tensor(NONE))


def overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes ``(m, 6)`` and ``(l, 6)``, ``(m, l)``; 0 where neither has an area."""
    low = np.maximum(some[:, None, 0:2], others[None, :, 0:2])
    high = np.minimum(some[:, None, 2:4], others[None, :, 2:4])
    both = np.prod(np.clip(high - low, 0.0, None), axis=-1)
    whole = _areas(some)[:, None] + _areas(others)[None] - both
    return np.divide(both, whole, out=np.zeros_like(both), where=whole > 0)


def _areas(rows: np.ndarray) -> np.ndarray:
    area: np.ndarray = (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])
    return area


def hits(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which detections are right, as COCO has it, at each of :data:`THRESHOLDS`.

    Within a class, detections take objects by falling score, those of equal scores in their order: each the one that
    it overlaps most with, at least by the threshold, of those that are left; the last one of several alike.

    Args:
        found: detections ``(m, 6)``.
        wanted: what is there, ``(l, 6)``.

    Returns:
        bool ``(10, m)``.
    """
    right = np.zeros((len(THRESHOLDS), len(found)), dtype=bool)
    found_at, wanted_at = (np.flatnonzero(rows[:, CLASS] >= 0) for rows in (found, wanted))
    if not len(found_at) or not len(wanted_at):
        return right
    overlap = overlaps(found[found_at], wanted[wanted_at])
    overlap[found[found_at, None, CLASS] != wanted[None, wanted_at, CLASS]] = -1.0
    left, rows = np.ones((len(THRESHOLDS), len(wanted_at)), dtype=bool), np.arange(len(THRESHOLDS))
    for number in np.argsort(-found[found_at, SCORE], kind="stable"):
        open_to = left & (overlap[number] >= np.minimum(THRESHOLDS, 1 - 1e-10)[:, None])
        taken = len(wanted_at) - 1 - np.where(open_to, overlap[number], -1.0)[:, ::-1].argmax(1)
        matched = open_to.any(1)
        left[rows[matched], taken[matched]] = False
        right[matched, found_at[number]] = True
    return right


def apart(some: np.ndarray, others: np.ndarray, order: int = 1) -> float:
    """How far two sets of boxes are apart, from 0 to 1: the metric OSPA, to the power of its order.

    Objects are matched one to one, as cheaply as can be: a pair of one class costs ``(1 - overlap)^order``, of
    different classes 1, and so does an object that has no partner. The sum is over the larger number of objects (D.
    Schuhmacher, B.-T. Vo & B.-N. Vo 2008, with a cutoff of 1). 0 where both are empty.

    Args:
        some: ``(m, 6)``; rows of class -1 are none.
        others: ``(l, 6)``.
        order: 1: the mean cost; 2: the mean square, whose root is rounding where the two are equal but for that.
    """
    from scipy.optimize import linear_sum_assignment  # a quarter of a second that few runs need

    a, b = (rows[rows[:, CLASS] >= 0] for rows in (some, others))
    larger = max(len(a), len(b))
    if not larger or not min(len(a), len(b)):
        return float(larger > 0)
    cost = np.where(a[:, None, CLASS] == b[None, :, CLASS], 1.0 - overlaps(a, b), 1.0) ** order
    rows, columns = linear_sum_assignment(cost)
    # in this order: the square of rounding is far below that of 1
    return (float(cost[rows, columns].sum()) + (larger - len(rows))) / larger


def distances(moved: Tensor, expected: Tensor, order: int) -> Tensor:
    """:func:`apart` of ``(k, n, most, 6)`` each, ``(k, n)``, float64; NaN where one is not finite."""
    pairs = zip(
        moved.double().cpu().flatten(0, 1).numpy(), expected.double().cpu().flatten(0, 1).numpy(), strict=True
    )
    found = [apart(a, b, order) if np.isfinite(a).all() and np.isfinite(b).all() else np.nan for a, b in pairs]
    return torch.tensor(found, dtype=torch.float64).view(moved.shape[:2]).to(moved.device)


@dataclass(frozen=True)
class Sets:
    """Outputs are sets of boxes ``(most, 6)``, in any order: compared by how far apart they are, not by differences.

    They have no mean, and no sums that pairs of all samples could be had from. So a sample is held against the one
    before and the one behind it in the cell's order, which is seeded; the first one comes behind the last.
    """

    vectors: ClassVar[bool] = False

    def deviation(self, moved: Tensor, expected: Tensor, samples: Sequence[int]) -> Tensor:
        """The mean squared cost of matching them, ``(k, n)``; see :func:`apart`."""
        del samples
        return distances(moved, expected, 2)

    def columns(self, moved: Tensor, expected: Tensor) -> dict[str, Tensor]:
        """``objects_kept``: 1 less the mean cost, ``(k, n)``."""
        return {"objects_kept": 1.0 - distances(moved, expected, 1)}

    def real_only(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """All of it."""
        del samples
        return x

    def share(self, samples: Sequence[int]) -> Tensor | None:
        """None: rows that are no object are none by their class."""
        del samples
        return None

    def counts(self, samples: Sequence[int]) -> Tensor:
        """One each, ``(n,)``."""
        return torch.ones(len(samples), dtype=torch.float64)

    def mean(self, x: Tensor, samples: Sequence[int]) -> Tensor:
        """Of ``(k, n, most, 6)`` nothing, for there is none: ``(k, most, 6)`` without an object."""
        del samples
        return x.new_tensor(NONE).expand(len(x), *x.shape[2:])

    def square(self, values: Tensor) -> Tensor:
        """The largest squared distance, of each of ``(n, most, 6)``: what rounding is relative to, ``(n,)``."""
        return torch.ones(len(values), dtype=torch.float64, device=values.device)

    def null(self, values: Tensor) -> float:
        """The mean squared distance between ``(n, most, 6)`` of neighbouring samples; 0 for a single one."""
        return float(self.among(values[None], values[None], range(len(values))).mean()) if len(values) > 1 else 0.0

    def among(self, moved: Tensor, expected: Tensor, samples: Sequence[int]) -> Tensor:
        """How far each output of some samples is from those of the one before and the one behind it.

        Args:
            moved: ``f(g.x)``, ``(k, n, most, 6)``.
            expected: ``g.f(x)``, likewise.
            samples: whose they are.

        Returns:
            The mean of the two, ``(k, n)``; NaN for a single sample.
        """
        if len(samples) < 2:
            return torch.full(moved.shape[:2], torch.nan, dtype=torch.float64, device=moved.device)
        return self.beside(moved, [expected.roll(1, 1), expected.roll(-1, 1)])

    def beside(self, moved: Tensor, others: Sequence[Tensor]) -> Tensor:
        """The mean of how far ``f(g.x)`` is from each of these, ``(k, n)``."""
        return torch.stack([distances(moved, other, 2) for other in others]).mean(0)
