"""An answer's numbers as texts, for the tables of a page."""

from __future__ import annotations

import math
from typing import Any

from symbench.read.studies.answer import Answer

LEFT_OUT = frozenset({"unit"})
"""Columns that say nothing beside the others: the title and the text name the unit."""


def sheet(answer: Answer) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row of texts for each row of the answer; an estimate and its limits are one column.

    Columns that have no number in any row are left out.
    """
    frame = answer.frame.dropna(axis=1, how="all")
    columns = {str(name): list(frame[name]) for name in frame.columns if name not in LEFT_OUT}
    found: dict[str, list[str]] = {}
    for name, values in columns.items():
        low, high = (columns.get(end) for end in _ends(name))
        if low is not None and high is not None:
            found[name] = [_with_limits(*each) for each in zip(values, low, high, strict=True)]
        elif not _is_end(name, columns):
            found[name] = [_text(value) for value in values]
    heads = [_heading(name, answer) for name in found]
    return heads, [list(row) for row in zip(*found.values(), strict=True)]


def _heading(name: str, answer: Answer) -> str:
    """A column's name in words; that of what is drawn along is the key of the sweep."""
    named = answer.about.get("over", name) if name == "at" else name.replace("_estimate", "")
    return str(named).replace("_", " ")


def _ends(name: str) -> tuple[str, str]:
    """The columns of the limits of an estimate: ``low`` of ``estimate``, ``difference_low`` of ``difference``."""
    of = name.removesuffix("estimate").removesuffix("_")
    return (f"{of}_low", f"{of}_high") if of else ("low", "high")


def _is_end(name: str, columns: dict[str, list[Any]]) -> bool:
    return any(name in _ends(other) for other in columns)


def _with_limits(value: Any, low: Any, high: Any) -> str:
    texts = [_text(each) for each in (value, low, high)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]" if all(texts) else texts[0]


def _text(value: Any) -> str:
    """A number with four digits; anything else as it is, and nothing for none."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    return "" if value is None else str(value)
