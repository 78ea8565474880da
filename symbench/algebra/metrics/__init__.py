"""Metrics: functions of observations. They see NumPy arrays, never tensors, groups or models.

To add one: write what it takes from some samples and what it makes of all, a
:class:`~symbench.algebra.metrics.folds.Folded`, and add a row to its theme in ``tables``. It applies to last year's
runs at once, and its row says where it is shown: nothing else lists metrics by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from symbench.algebra.metrics.rows import MetricRow, Role, Shown
from symbench.algebra.metrics.tables import behaviour, classes, costs, errors, maps, regressed
from symbench.base.registry import Table

__all__ = ["METRICS", "MetricRow", "Metrics", "role_of", "shown_in"]

Metrics = Mapping[str, MetricRow]
"""Metrics by name: those of the table, and those that a suite names as code."""

METRICS = Table(
    "metric",
    MetricRow,
    {**maps.ROWS, **behaviour.ROWS, **regressed.ROWS, **errors.ROWS, **classes.ROWS, **costs.ROWS},
    own_first=True,
)
"""The metrics, in the order in which everything prints them."""


def role_of(role: Role) -> str:
    """The name of the metric that has a part in the report's own sentences and figures."""
    return next(name for name, row in METRICS.rows.items() if row.role == role)


def shown_in(place: Shown, metrics: Metrics | None = None) -> dict[str, MetricRow]:
    """The metrics that stand somewhere without being asked for, in the table's order.

    Args:
        place: one of :attr:`MetricRow.shown`.
        metrics: those to choose from; the table and the plug-ins by default.
    """
    known = dict(METRICS) if metrics is None else metrics
    return {name: row for name, row in known.items() if place in row.shown}
