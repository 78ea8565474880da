"""What is said below a table: which models are exact, which are broken and where, what was taken for granted."""

from __future__ import annotations

import pandas as pd

from symbench.algebra.metrics import role_of
from symbench.algebra.metrics.equivariance import AS_IT_RUNS, BEYOND, PLAINLY

EXACTNESS, SUM, PLACE = (role_of(role) for role in ("exactness", "adding up", "worst place"))

NO_CAUSE = (PLAINLY, BEYOND)
"""How verdicts begin on models that are broken, nobody knows by what."""


def verdicts(group: pd.DataFrame) -> list[str]:
    """Which models are exact, which are broken and by what; models of one verdict share a sentence."""
    rows = group[group["metric"] == EXACTNESS]
    rows = rows[rows["estimate"].notna() | rows["reason"].astype("string").str.contains(AS_IT_RUNS, na=False)]
    by_words: dict[str, list[str]] = {}
    for row in rows.itertuples():
        before, as_it_runs, _ = str(row.reason).partition(AS_IT_RUNS)  # why it does not run in float64 comes last
        words = before + as_it_runs
        words = f"exact in float64{where_exact(group)}" if words.startswith("exact") and not as_it_runs else words
        words = "broken at any precision" if words == PLAINLY else words
        by_words.setdefault(words, []).append(str(row.model))
    return [f"{', '.join(models)}: {words}" for words, models in by_words.items()]


def caused(frame: pd.DataFrame) -> pd.DataFrame:
    """The verdicts on models that are broken by something that controls could name, ``why`` in a column."""
    rows = frame[
        (frame["metric"] == EXACTNESS) & frame["reason"].astype("string").str.startswith("broken: ", na=False)
    ]
    rows = rows[~rows["reason"].str.startswith(NO_CAUSE)]
    return rows.assign(why=[str(text).partition(": ")[2].partition(f", {AS_IT_RUNS}")[0] for text in rows["reason"]])


def unequal_sums(over_all: pd.DataFrame) -> list[str]:
    """Where losses over the orbit are not the sum of what they have to be the sum of, by theorem."""
    return [f"{row.model}: {row.reason}" for row in unequal(over_all).itertuples()]


def worst_places(over_all: pd.DataFrame) -> list[str]:
    """Where one place of most samples is what deviates, and E says so."""
    rows = over_all[(over_all["metric"] == PLACE) & over_all["reason"].notna()]
    rows = rows[rows["estimate"] > rows["floor"].fillna(0)]
    return [f"{row.model}: {row.reason}" for row in rows.itertuples()]


def unequal(frame: pd.DataFrame) -> pd.DataFrame:
    """The estimates of what losses miss their sums by, of those that miss them."""
    return frame[(frame["metric"] == SUM) & frame["estimate"].notna() & frame["reason"].notna()]


def where_exact(group: pd.DataFrame) -> str:
    """At which elements a model that is exact is so: exactness is found where pixels are only permuted.

    Args:
        group: estimates of one dataset under one symmetry.
    """
    return ", at elements that only permute" if (group["elements"] == "resampled").any() else ""


def taken(group: pd.DataFrame) -> list[str]:
    """What was found of outputs or taken for granted, and which controls were cut short; models share a sentence.

    What verdicts say is not said again.
    """
    known = verdicts(group)
    rows = group[group["remark"].notna()].drop_duplicates(["model", "output"])
    by_words: dict[str, list[str]] = {}
    for row in rows.itertuples():
        said = [line.partition(": broken: ")[2] for line in known if str(row.model) in line]
        words = "; ".join(part for part in str(row.remark).split("; ") if part not in said)
        if words:
            by_words.setdefault(words, []).append(str(row.model))
    return [f"{', '.join(models)}: {words}" for words, models in by_words.items()]
