"""What a question came to: a paragraph, a table and what its figure is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from symbench.algebra.metrics import MetricRow
from symbench.algebra.statistics import Interval
from symbench.read.numbers import WRITTEN


@dataclass(frozen=True)
class Answer:
    """What a question came to.

    Attributes:
        title: its heading.
        text: a paragraph of plain sentences, made of the numbers in ``frame``.
        frame: a row for each arm and point.
        ask: the kind of question, which says how it is drawn; empty for one that has no answer.
        about: what its figure needs to know beside the table.
    """

    title: str
    text: str
    frame: pd.DataFrame
    ask: str
    about: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As plain data, null where there is no number."""
        rows = self.frame.astype(object).where(self.frame.notna(), None).to_dict("records")
        return {"ask": self.ask, "title": self.title, "text": self.text, "rows": rows}


def within(interval: Interval, row: MetricRow) -> Interval:
    """An interval that does not leave what the metric can be: of a share 0 to 1."""
    least, most = row.limits
    low = interval.low if interval.low is None or least is None else max(interval.low, least)
    high = interval.high if interval.high is None or most is None else min(interval.high, most)
    return replace(interval, low=low, high=high)


def name_in_words(metric: str) -> str:
    """A metric's name as text has it: ``orbit accuracy``, and of one of the user's own what its file calls it."""
    return metric.rpartition(":")[2].replace("_", " ")


def written(interval: Interval, row: MetricRow) -> str:
    """``93.1 % [91.0, 95.2]``."""
    unit, write = " %" if row.written_as == "percent" else "", WRITTEN[row.written_as]
    return _bracketed([write(value) for value in _numbers(within(interval, row))], unit)


def written_difference(interval: Interval, row: MetricRow, *, signed: bool = True) -> str:
    """``+3.1 points [+1.0, +5.2]`` of shares; without its sign how far apart they are, ``3.1 points [1.0, 5.2]``."""
    numbers = _numbers(interval)
    if not signed and interval.estimate < 0:
        numbers = [-numbers[0], *(-value for value in reversed(numbers[1:]))]
    sign = "+" if signed else ""
    if row.written_as == "percent":
        return _bracketed([f"{100 * value:{sign}.1f}" for value in numbers], " points")
    return _bracketed([f"{value:{sign}#.3g}" for value in numbers], "")


def _numbers(interval: Interval) -> list[float]:
    return [value for value in (interval.estimate, interval.low, interval.high) if value is not None]


def _bracketed(texts: Sequence[str], unit: str) -> str:
    return f"{texts[0]}{unit} [{texts[1]}, {texts[2]}]" if len(texts) == 3 else f"{texts[0]}{unit}"
