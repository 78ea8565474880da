"""What is known of a metric: one row that holds all that tables, comparisons, figures and gates ask of it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from symbench.base.registry import Row

Better = Literal["higher", "lower", "neither"]
Scope = Literal["symmetry", "control", "model"]
Floor = Literal["error", "deviation", "behaviour", "reference", "place"]
Scale = Literal["percent", "fraction", "scientific", "count", "seconds", "rate", "memory"]
Shown = Literal[
    "table", "ranking", "glance", "curve", "comparison", "baseline", "costs", "split", "generators", "classes"
]  # fmt: skip
Role = Literal[
    "as it is", "orbit mean", "worst case", "worst element", "each element", "chance", "predicted classes",
    "retrieval", "deviation", "exactness", "the model's share", "resampling's share", "layer", "excluded pairs",
    "size", "operations", "time", "speed", "ceiling", "adding up", "rounding", "worst place",
    "overlap at each element", "worst overlap", "precision at each element", "worst precision", "rim", "inside",
]  # fmt: skip
"""What sentences and figures of their own are made from, each the part of one metric."""

SCALES: dict[str, Scale] = {
    "share": "percent",
    "kappa": "fraction",
    "cosine": "fraction",
    "count": "count",
    "flop": "count",
    "s": "seconds",
    "samples/s": "rate",
    "MiB": "memory",
}
"""How numbers of a unit are written, where a row does not say otherwise; other units: ``scientific``."""
BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "share": (0.0, 1.0),
    "kappa": (None, 1.0),
    "cosine": (-1.0, 1.0),
}
"""Between what numbers of a unit lie, where a row does not say otherwise; other units: without bounds."""


@dataclass(frozen=True)
class MetricRow(Row):
    """A metric in the table. ``path`` names a :class:`~symbench.algebra.metrics.folds.Folded`, which is computed from
    some samples at a time; or a function ``Observed -> list[Value]``, for which all observations of a cell are read
    into memory: about 100 bytes for each sample at each element.

    A row is all that anybody knows of a metric: no other file lists metrics by name. A plug-in's row, or one that a
    suite names as ``file.py:attr``, therefore takes part in reports, comparisons and gates by itself.

    Attributes:
        unit: of the estimate; ``output`` stands for the output's own, ``place`` for that of its deviation at a place,
            which the metric says.
        better: which direction is an improvement.
        scope: ``symmetry`` for one estimate per cell and kind of element; ``control`` for one per cell, from its
            control evaluations; ``model`` for what no symmetry changes.
        floor: how the floor below which it means nothing is found: ``error`` from distances, ``deviation`` from
            deviations in the output's unit, ``behaviour`` from predictions that change by repeating alone,
            ``reference`` from what the reference action itself gets wrong, ``place`` from deviations for each place,
            in the unit that errors are told in.
        paired: whether two of it can be compared on the same samples.
        heading: of its column in tables; its name where there is none.
        label: of an axis, and of the page's first table; its heading where there is none.
        scale: how its numbers are written; by the unit where it is None.
        bounds: the least and the largest value that it can have; by the unit where it is None.
        shown: where it stands without being asked for. ``table``: a column of the tables of each symmetry.
            ``ranking``: models are ordered by the first of these that their outputs have. ``glance``: likewise the
            number of the page's first table. ``curve``: a panel over the size of elements. ``comparison``: of two
            runs. ``baseline``: the JSON that reviewers see. ``costs``, ``split``, ``generators``: these tables.
            ``classes``: the table of single classes.
        role: which part it has in the report's own sentences and figures.
        per_element: it has estimates for single elements or generators only, so that a rule without ``element:``
            takes all of them.
        blind: whether a model that has collapsed, and predicts one class whatever it sees, is good at it.
        beside: its column also stands, with the reason, where it has no value and this other metric has one; its own
            name: always.
        instead_of: its column is left out where this other metric has values.
        observations: whether a function looks at observations; where it does not, they are not read for it, and it is
            one of :class:`~symbench.algebra.metrics.base.Context`.
        not_for: tasks whose tables have no room for it; estimates.csv has it.
        of_passes: what it is of where throughput passes measure it: ``time``, of which rules ask for several passes
            on like hardware, or ``memory``, of which one is enough.
        of_averages: it is of the mean output over the orbit, whose definition has a version of its own.
    """

    unit: str = ""
    better: Better = "higher"
    scope: Scope = "symmetry"
    floor: Floor | None = None
    paired: bool = True
    _: KW_ONLY
    heading: str = ""
    label: str = ""
    scale: Scale | None = None
    bounds: tuple[float | None, float | None] | None = None
    shown: tuple[Shown, ...] = ("table", "comparison", "baseline")
    role: Role | None = None
    per_element: bool = False
    blind: bool = False
    beside: str | None = None
    instead_of: str | None = None
    observations: bool = True
    not_for: tuple[str, ...] = ()
    of_passes: Literal["time", "memory"] | None = None
    of_averages: bool = False

    @property
    def written_as(self) -> Scale:
        """How its numbers are written."""
        return self.scale or SCALES.get(self.unit, "scientific")

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """The least and the largest value that it can have; None where there is no such limit."""
        return self.bounds or BOUNDS.get(self.unit, (None, None))

    @property
    def can_drop(self) -> bool:
        """Whether one run can be told to be worse than another by it."""
        return self.paired and self.better != "neither"
