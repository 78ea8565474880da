"""What domains and plug-ins find out of models, whatever the symmetry: columns beside E, in every table."""

from __future__ import annotations

from typing import Any

import pandas as pd

from symbench.metrics import METRICS


def of_models(frame: pd.DataFrame, dataset: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The metrics of models alone that domains and plug-ins bring, as far as some model has a row on this dataset.

    Our own are what a model costs, and have a table of their own.

    Args:
        frame: a run's estimates.
        dataset: its name.

    Returns:
        The metric, its heading, and the row of each model that has one.
    """
    mine = frame[frame["symmetry"].isna() & (frame["dataset"] == dataset) & ~frame["metric"].isin(list(METRICS.own))]
    return [
        (
            str(metric),
            str(metric).rpartition("/")[2].replace("_", " ") + (" %" if (rows["unit"] == "share").all() else ""),
            {str(row.model): row for row in rows.itertuples()},
        )
        for metric, rows in mine.groupby("metric", sort=False)
    ]
