"""What rows of metrics have in common."""

from __future__ import annotations

from functools import partial
from typing import Any

from symbench.algebra.metrics.rows import Better, MetricRow, Shown
from symbench.base.registry import Options

TABLE: tuple[Shown, ...] = ("table", "comparison", "baseline")


def of(
    path: str, summary: str, unit: str, better: Better, *, shown: tuple[Shown, ...] = (), **more: Any
) -> MetricRow:
    """The row of a metric that lives in this folder; shown nowhere unless it says so."""
    return MetricRow(f"symbench.algebra.metrics.{path}", summary, Options, unit, better, shown=shown, **more)


behaviour = partial(of, unit="share", better="higher", floor="behaviour")
control = partial(of, scope="control", observations=False)
found = partial(control, unit="E", better="lower", floor="error", paired=False)
cost = partial(of, scope="model", observations=False)
