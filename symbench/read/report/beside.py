"""What domains and plug-ins find out of models, whatever the symmetry: columns beside E, in every table."""

from __future__ import annotations

from typing import Any

import pandas as pd

from symbench.algebra.metrics import METRICS, Metrics


def heading_of(metric: str, known: Metrics) -> str:
    """A column's heading: the metric's own, or made from its name."""
    row = known[metric]
    words = metric.rpartition("/")[2].replace("_", " ")
    return row.heading or words + (" %" if row.unit == "share" else "")


def of_models(frame: pd.DataFrame, dataset: str, known: Metrics) -> list[tuple[str, str, dict[str, Any]]]:
    """The metrics of models alone that domains and plug-ins bring, as far as some model has a row on this dataset.

    Our own are what a model costs, and have a table of their own.

    Args:
        frame: a run's estimates.
        dataset: its name.
        known: the metrics that there are.

    Returns:
        The metric, its heading, and the row of each model that has one.
    """
    mine = frame[frame["symmetry"].isna() & (frame["dataset"] == dataset) & ~frame["metric"].isin(list(METRICS.own))]
    return [
        (
            str(metric),
            heading_of(str(metric), known),
            {str(row.model): row for row in rows.itertuples()},
        )
        for metric, rows in mine.groupby("metric", sort=False)
    ]
