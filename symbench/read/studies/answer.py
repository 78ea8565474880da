"""What a question came to: a paragraph, a table and what its figure is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


def written(interval: Interval, row: MetricRow, *, difference: bool = False) -> str:
    """``93.1 % [91.0, 95.2]``; of a difference of shares ``+3.1 points [+1.0, +5.2]``."""
    numbers = [value for value in (interval.estimate, interval.low, interval.high) if value is not None]
    share = row.written_as == "percent"
    if difference:
        unit = " points" if share else ""
        texts = [f"{100 * value:+.1f}" if share else f"{value:+.3g}" for value in numbers]
    else:
        unit, write = " %" if share else "", WRITTEN[row.written_as]
        texts = [write(value) for value in numbers]
    return f"{texts[0]}{unit} [{texts[1]}, {texts[2]}]" if len(texts) == 3 else f"{texts[0]}{unit}"
