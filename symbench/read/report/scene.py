"""What figures are drawn from: one symmetry on one dataset, with its elements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from symbench.algebra.metrics import Metrics, shown_in
from symbench.read.estimates import Cells
from symbench.read.report import chance

Spot = tuple[str, str]
"""Symmetry and dataset."""


@dataclass(frozen=True)
class Elements:
    """What is known of the elements of one symmetry on one dataset.

    Attributes:
        rows: ``element``, ``kind``, ``size`` and a column for each parameter.
        unit: of the sizes.
        family: of the group, which says what the parameters are; None where nobody knows.
    """

    rows: pd.DataFrame
    unit: str = ""
    family: str | None = None


@dataclass(frozen=True)
class Measured:
    """A cell, for figures that need its observations.

    Attributes:
        model: what the report calls it.
        cells: where its files are.
        key: its key.
    """

    model: str
    cells: Cells
    key: str


@dataclass(frozen=True)
class Scene:
    """One symmetry on one dataset, for figures.

    Attributes:
        symmetry: its name.
        dataset: its name.
        estimates: of this symmetry on this dataset.
        at_elements: those of single elements that have a curve, with ``size`` and parameters as columns, and
            ``chance`` where there are labels; no rows where the elements are not known.
        unit: of the elements' sizes.
        family: of the group; None where nobody knows.
        report: the estimates of the whole report.
        models: all of the report's, in the order of their looks.
        metrics: that the report knows.
        measured: the cells behind it; none where it is a piece of a symmetry.
        over: the parameters of the elements that the figure is drawn over, as its row names them.
    """

    symmetry: str
    dataset: str
    estimates: pd.DataFrame
    at_elements: pd.DataFrame
    unit: str
    family: str | None
    report: pd.DataFrame
    models: Sequence[str]
    metrics: Metrics
    measured: Sequence[Measured] = ()
    over: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What titles call it."""
        return f"{self.symmetry} on {self.dataset}"

    @property
    def tasks(self) -> frozenset[str]:
        """What its outputs are for."""
        return frozenset(self.estimates["task"].dropna().astype(str))


def scenes(
    frame: pd.DataFrame,
    elements: Mapping[Spot, Elements],
    models: Sequence[str],
    metrics: Metrics,
    measured: Mapping[Spot, Sequence[Measured]] = MappingProxyType({}),
) -> Iterator[Scene]:
    """Every symmetry on every dataset, in the order of the report.

    Args:
        frame: estimates.
        elements: of every (symmetry, dataset), as far as they are known.
        models: all of the report's, in the order of their looks.
        metrics: that the report knows.
        measured: the cells of every (symmetry, dataset).
    """
    curves = list(shown_in("curve", metrics))
    for (dataset, symmetry), rows in frame[frame["symmetry"].notna()].groupby(["dataset", "symmetry"], sort=False):
        known = elements.get((str(symmetry), str(dataset)), NOTHING)
        single = rows[rows["metric"].isin(curves) & rows["estimate"].notna() & rows["element"].notna()]
        at_elements = single.merge(known.rows.drop(columns=["kind"]), on="element")
        level = chance.level(rows)
        if not math.isnan(level):
            at_elements = at_elements.assign(chance=level)
        place = (str(symmetry), str(dataset))
        behind = measured.get(place, ())
        yield Scene(*place, rows, at_elements, known.unit, known.family, frame, models, metrics, behind)


NOTHING = Elements(pd.DataFrame({"element": pd.Series(dtype=object), "kind": [], "size": []}))
