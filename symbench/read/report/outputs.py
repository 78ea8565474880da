"""Outputs that are for the same thing stand side by side, whatever each model calls its own."""

from __future__ import annotations

import pandas as pd

FAMILIES = {
    "classification": "class scores",
    "binary": "class scores",
    "multi-label": "class scores",
    "embedding": "embedding",
    "segmentation": "class maps",
    "detection": "boxes",
    "keypoints": "points",
}
"""By task, what outputs of several names are called together."""


def piece(symmetry: str, stratum: str) -> str:
    """What tables and figures call one piece of a symmetry's group."""
    return f"{symmetry}, {stratum}"


def pieces_apart(frame: pd.DataFrame) -> pd.DataFrame:
    """Estimates over one piece of a group as those of a symmetry of their own: they are never averaged in print."""
    of_pieces = frame["stratum"].notna() & frame["symmetry"].notna()
    if not of_pieces.any():
        return frame
    names = [piece(*pair) for pair in frame.loc[of_pieces, ["symmetry", "stratum"]].itertuples(index=False)]
    symmetry = frame["symmetry"].copy()
    symmetry.loc[of_pieces] = names
    return frame.assign(symmetry=symmetry, stratum=None)


def first_trainings(frame: pd.DataFrame) -> pd.DataFrame:
    """Without what is of a later training than the first of several: studies and the data hold these."""
    later = frame["replica"].fillna(0) > 0 if "replica" in frame else pd.Series(False, index=frame.index)
    return frame[~later] if later.any() else frame


def side_by_side(frame: pd.DataFrame) -> pd.DataFrame:
    """A run's estimates with one name for the class scores of all models on a dataset, and one for their embeddings.

    A model that has several of a kind keeps their names, and so do all where only one name is used.
    """
    frame = pieces_apart(first_trainings(frame))
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
