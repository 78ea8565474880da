"""What guessing comes to, and which models do no better: they are not praised for staying the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from symbench.algebra.metrics import role_of

CHANCE, CLASSES = role_of("chance"), role_of("predicted classes")


def level(rows: pd.DataFrame) -> float:
    """The accuracy of always predicting the most frequent label; NaN without labels, or where there is only one.

    Args:
        rows: estimates of one dataset.
    """
    found = rows.loc[rows["metric"] == CHANCE, "estimate"].dropna()
    share = float(found.iloc[0]) if len(found) else math.nan
    return share if share < 1 else math.nan


def beaten(low: float, estimate: float, chance: float) -> bool:
    """Whether an accuracy is better than chance beyond doubt; also where there is no chance to speak of.

    Args:
        low: the lower end of its interval; NaN without one.
        estimate: itself.
        chance: of :func:`level`.
    """
    return not (estimate if math.isnan(low) else low) <= chance


def words(low: float, estimate: float, high: float, chance: float) -> str:
    """``, which is chance`` and the like, to go behind an accuracy; empty where it is better than that."""
    found = word(low, estimate, high, chance)
    return f", which {'' if found.startswith('could') else 'is '}{found}" if found else ""


def word(low: float, estimate: float, high: float, chance: float) -> str:
    """``chance``, ``below chance`` or ``could be chance``; empty where an accuracy is better than that."""
    if beaten(low, estimate, chance):
        return ""
    if high < chance:
        return "below chance"
    return "chance" if estimate <= chance else "could be chance"


def one_class(rows: pd.DataFrame) -> list[str]:
    """The models that predict one class only, of labels that are not all the same.

    Args:
        rows: estimates of one output under one symmetry.
    """
    counts = rows[(rows["metric"] == CLASSES) & (rows["estimate"] == 1)]
    labels = rows.loc[rows["metric"] == CHANCE, "estimate"]
    return [] if (labels == 1).any() else list(dict.fromkeys(counts["model"].astype(str)))


def note(models: Sequence[str], chance: float) -> str:
    """What stands below a table: chance, and who predicts one class only; empty where there is neither."""
    found = [] if math.isnan(chance) else [f"chance, the share of the most frequent label, is {100 * chance:.1f} %"]
    if models:
        found.append(f"{', '.join(models)} predict{'s' if len(models) == 1 else ''} one class only")
    return "; ".join(found)
