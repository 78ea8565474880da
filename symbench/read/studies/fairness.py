"""Whether arms are compared fairly: at equal cost, where a question says at which."""

from __future__ import annotations

import pandas as pd

from symbench.read.studies.answer import name_in_words

FAIR = 0.05
"""What arms may differ by in the cost that they are compared at, of the least."""


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
    if known.empty:
        return unknown.strip()
    apart = []
    for at, rows in known.groupby("at", sort=False, dropna=False):
        least, most = (rows.sort_values(cost, ascending=up, kind="stable").iloc[0] for up in (True, False))
        share = most[cost] / least[cost] - 1 if least[cost] > 0 else float(most[cost] > 0)
        apart.append((share, at, least, most))
    share, at, least, most = max(apart, key=lambda each: each[0])
    place = "" if over is None else f" at {over} {at}"
    if share <= FAIR:
        return f"All arms are at equal {name} to within {100 * share:.1f} %{place}: {_range(known[cost])}.{unknown}"
    said = f"{least['arm']} has {least[cost]:,.0f} and {most['arm']} {most[cost]:,.0f}, {100 * share:,.0f} % more"
    return f"Warning: arms are not at equal {name}{place}: {said}, where {100 * FAIR:.0f} % is fair.{unknown}"


def _range(values: pd.Series) -> str:
    least, most = values.min(), values.max()
    return f"{least:,.0f}" if least == most else f"{least:,.0f} to {most:,.0f}"
