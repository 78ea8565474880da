"""Outputs that are for the same thing stand side by side, whatever each model calls its own."""

from __future__ import annotations

import pandas as pd

FAMILIES = {
    "classification": "class scores",
    "binary": "class scores",
    "multi-label": "class scores",
    "embedding": "embedding",
}
"""By task, what outputs of several names are called together."""


def side_by_side(frame: pd.DataFrame) -> pd.DataFrame:
    """A run's estimates with one name for the class scores of all models on a dataset, and one for their embeddings.

    A model that has several of a kind keeps their names, and so do all where only one name is used.
    """
    family = frame["task"].map(FAMILIES)
    known = frame[family.notna()].assign(family=family)
    names = known.groupby(["dataset", "family", "model"], sort=False)["output"].agg(["nunique", "first"])
    alone = names[names["nunique"] == 1]
    used = alone.groupby(level=["dataset", "family"])["first"].nunique()
    renamed = alone[[used.loc[place[:2]] > 1 for place in alone.index]].index
    if renamed.empty:
        return frame
    places = pd.MultiIndex.from_arrays([frame["dataset"], family, frame["model"]])
    chosen = places.isin(renamed)
    return frame.assign(output=frame["output"].where(~chosen, family))
