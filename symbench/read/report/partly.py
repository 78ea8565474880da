"""Models that are exact in part: under some steps alone, as those that halve their grid, or inside the frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from symbench.algebra.metrics import role_of
from symbench.algebra.metrics.equivariance import MARGIN
from symbench.algebra.metrics.rim import DISTANCES
from symbench.algebra.metrics.rim import RIM as NEAREST
from symbench.algebra.statistics import Array
from symbench.read.numbers import scientific
from symbench.read.report.figures import FIGURES, FigureRow
from symbench.read.report.pieces import DEVIATION, ROUNDING, Parted
from symbench.read.report.scene import Elements, Spot
from symbench.read.report.tables import whole

RIM, INSIDE = role_of("rim"), role_of("inside")
NEAR = DISTANCES[NEAREST - 1][1]
"""How far from the edge places are that count as near it."""


def stepped(frame: pd.DataFrame, elements: Mapping[Spot, Elements]) -> Iterator[Parted]:
    """What is found of every model under every symmetry whose elements are steps along axes.

    Args:
        frame: estimates.
        elements: of every symmetry on every dataset, with their parameters.
    """
    rows = [row for _, row in FIGURES if row.multiples]
    known = frame[frame["metric"].isin([DEVIATION, ROUNDING]) & frame["symmetry"].notna() & frame["stratum"].isna()]
    for (model, symmetry, dataset), mine in known.groupby(["model", "symmetry", "dataset"], sort=False):
        spot = elements.get((str(symmetry), str(dataset)))
        row = next((row for row in rows if spot is not None and spot.family in row.families), None)
        text = None if spot is None or row is None else _words(mine, spot.rows, row)
        if text is not None:
            yield Parted(str(model), (str(symmetry), str(dataset)), text)


def at_the_edge(frame: pd.DataFrame) -> Iterator[Parted]:
    """Models whose outputs deviate near the edge of the frame, and by no more than rounding farther inside."""
    mine = whole(frame[frame["metric"].isin([RIM, INSIDE]) & frame["estimate"].notna() & frame["stratum"].isna()])
    for (model, symmetry, dataset, output), rows in mine.groupby(
        ["model", "symmetry", "dataset", "output"], sort=False
    ):
        known = rows.drop_duplicates("metric").set_index("metric")
        if {RIM, INSIDE} <= set(known.index):
            rim, inside = (float(known["estimate"][name]) for name in (RIM, INSIDE))
            floor = float(known["floor"][INSIDE])
            if inside <= floor and rim > MARGIN * max(floor, inside):
                much = f"E = {scientific(rim)} within {NEAR} px of it, and no more than rounding farther inside"
                text = f"changes {output} at the edge of the frame alone: {much}"
                yield Parted(str(model), (str(symmetry), str(dataset)), text)


def _words(rows: pd.DataFrame, elements: pd.DataFrame, figure: FigureRow) -> str | None:
    """``is exact under shifts by multiples of 4 px alone: others come to E = 0.2``; None where that is not so."""
    errors = rows[(rows["metric"] == DEVIATION) & rows["element"].notna() & rows["estimate"].notna()]
    if errors.empty or not set(figure.over) <= set(elements):
        return None
    limits = {str(output): _limit(mine) for output, mine in rows.groupby("output", sort=False)}
    limit = errors["output"].astype(str).map(limits)
    marked = errors.assign(kept=errors["estimate"] <= limit, off=errors["estimate"] > MARGIN * limit)
    by_element = marked.groupby("element", sort=False)
    exact, broken = by_element["kept"].all(), by_element["off"].any()
    steps = elements.set_index("element").loc[exact.index, list(figure.over)].to_numpy(dtype=float)
    number = multiple(steps, exact.to_numpy(), broken.to_numpy())
    if number is None:
        return None
    others = errors[errors["element"].isin(broken.index[broken.to_numpy()])]
    return f"is exact under {figure.multiples.format(number)} alone: others come to E = {_largest(others)}"


def _largest(errors: pd.DataFrame) -> str:
    return scientific(float(errors["estimate"].max()))


def _limit(rows: pd.DataFrame) -> float:
    """What E of an output may come to by rounding, by its controls; 0 where nobody knows."""
    errors = rows[rows["metric"] == DEVIATION]
    floors = errors["floor"].dropna()
    whole = errors[errors["element"].isna()]["estimate"].dropna()
    multiples = rows[rows["metric"] == ROUNDING]["estimate"].dropna()
    known = [float(floors.max())] if len(floors) else []
    if len(whole) and len(multiples) and multiples.iloc[0] > 0:
        known.append(float(whole.iloc[0] / multiples.iloc[0]))
    return max(known, default=0.0)


def multiple(steps: Array, exact: Array, broken: Array) -> int | None:
    """The whole number m > 1 of which all steps of exact elements are multiples, and those of no other.

    Nothing is said where an element is neither exact nor broken; where exact ones have other steps than whole ones;
    or where no broken one has steps that are all multiples of some divisor of m, for then it might be the divisor.

    Args:
        steps: of each element along each axis, ``(k, axes)``.
        exact: bool ``(k,)``.
        broken: bool ``(k,)``.
    """
    moved = (steps != 0).any(axis=1)
    exact, broken = exact & moved, broken & moved
    if not exact.any() or not broken.any() or not (exact | broken)[moved].all():
        return None
    if not (steps[exact] == np.round(steps[exact])).all():
        return None
    number = math.gcd(*steps[exact].astype(int).ravel().tolist())
    if number < 2 or _all(steps[broken], number).any():
        return None
    smaller = [d for d in range(1, number) if number % d == 0]
    return number if all(_all(steps[broken], d).any() for d in smaller) else None


def _all(steps: Array, number: int) -> Array:
    """Whether all steps of each element are multiples of a number."""
    found: Array = np.asarray((np.mod(steps, number) == 0).all(axis=1))
    return found
