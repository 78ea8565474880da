"""Whether arms are compared fairly: at equal cost, where a question says at which."""

from __future__ import annotations

import pandas as pd

from symbench.read.studies.answer import name_in_words

FAIR = 0.05
"""What arms may differ by in the cost that they are compared at, of the least."""
SMALL = 100
"""Below this, costs are printed with a fraction."""


def at_equal_cost(frame: pd.DataFrame, cost: str, over: str | None) -> str:
    """A sentence on whether arms have one cost alike, to within 5 %, with the figures; a warning where they have not.

    Args:
        frame: a row for each arm and point, with ``arm``, ``at`` and the cost, where it is known of any.
        cost: the metric.
        over: what points are along; arms are held against one another at the same point.
    """
    name = name_in_words(cost)
    known = frame[frame[cost].notna()] if cost in frame else frame.iloc[:0]
    lacking = [str(arm) for arm in dict.fromkeys(frame["arm"]) if arm not in set(known["arm"])]
    unknown = f" Nothing is known of the {name} of {', '.join(lacking)}." if lacking else ""
    apart = []
    for at, rows in known.groupby("at", sort=False, dropna=False):
        if len(rows) == 1:  # of one arm there is nothing to hold against another
            continue
        least, most = (rows.sort_values(cost, ascending=up, kind="stable").iloc[0] for up in (True, False))
        share = most[cost] / least[cost] - 1 if least[cost] > 0 else float(most[cost] > 0)
        apart.append((share, at, least, most))
    if not apart:
        return unknown.strip()
    share, at, least, most = max(apart, key=lambda each: each[0])
    place = "" if over is None else f" at {over} {at}"
    if share <= FAIR:
        who = "Arms of which it is known" if lacking else "All arms"
        return f"{who} are at equal {name} to within {100 * share:.1f} %{place}: {_range(known[cost])}.{unknown}"
    low, high = (f"{row['arm']} {verb}{_number(row[cost])}" for row, verb in ((least, "has "), (most, "")))
    said = f"{low} and {high}, {100 * share:,.0f} % more"
    return f"Warning: arms are not at equal {name}{place}: {said}, where {100 * FAIR:.0f} % is fair.{unknown}"


def _range(values: pd.Series) -> str:
    least, most = values.min(), values.max()
    return _number(least) if least == most else f"{_number(least)} to {_number(most)}"


def _number(value: float) -> str:
    """Counts in full, and what is small in three digits."""
    return f"{value:,.0f}" if value >= SMALL else f"{value:.3g}"
