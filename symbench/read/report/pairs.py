"""Two runs side by side, as rows of text, Markdown and CSV."""

from __future__ import annotations

import csv as csv_module
import io
from collections import Counter

from symbench.base.escape import csv_text
from symbench.base.escape import markdown as escaped
from symbench.base.records import CompareRecord, PairRecord
from symbench.read.compare import MARKS
from symbench.read.numbers import count, percent, scientific, seconds


def headings(letter: str = "B") -> tuple[str, ...]:
    """Of a table; the later run has a letter of its own where there are several."""
    return "mark", "metric", "cell", "A", letter, f"{letter} - A", "p", "why"


def ordered(record: CompareRecord) -> list[PairRecord]:
    """The worst first."""
    return sorted(record.rows, key=lambda row: MARKS.index(row.mark))


def cells(row: PairRecord, letter: str = "B") -> tuple[str, ...]:
    """What a table shows of a row, under :func:`headings`."""
    where = " ".join(part for part in (row.model, row.dataset, row.symmetry or "") if part)
    difference = "" if row.difference is None else _change(row.difference, row)
    if row.difference is not None and row.low is not None and row.high is not None:
        difference += f" [{_change(row.low, row)}, {_change(row.high, row)}]"
    p = "" if row.p_adjusted is None else f"{row.p_adjusted:.2g}"
    why = row.reason or ("" if row.lost is None else f"{row.lost} lost, {row.gained} gained")
    return (
        _mark(row.mark, letter),
        row.metric,
        where,
        _value(row.before, row),
        _value(row.after, row),
        difference,
        p,
        why,
    )


def _mark(mark: str, letter: str) -> str:
    return f"only in {letter}" if mark == "only in B" else mark


def _value(value: float | None, row: PairRecord) -> str:
    if value is None:
        return "-"
    if row.unit == "share":
        return f"{percent(value)} %"
    return seconds(value) if row.unit == "s" else count(value) if row.unit in {"count", "flop"} else scientific(value)


def _change(value: float, row: PairRecord) -> str:
    sign = "+" if value > 0 else "-" if value < 0 else ""
    shown = f"{100 * abs(value):.1f}" if row.unit == "share" else _value(abs(value), row)
    return f"{sign}{shown}"


def summary(record: CompareRecord, letter: str = "B") -> str:
    """How many rows have each mark."""
    found = Counter(row.mark for row in record.rows)
    told = ", ".join(f"{found[mark]} {_mark(mark, letter)}" for mark in MARKS if found[mark])
    return f"{record.after} ({letter}) against {record.before} (A): {told or 'nothing to compare'}"


def markdown(record: CompareRecord, letter: str = "B") -> str:
    """A table, the worst first."""
    names = headings(letter)
    lines = [escaped(summary(record, letter)) + ".", "", f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    lines += [f"| {' | '.join(escaped(cell) for cell in cells(row, letter))} |" for row in ordered(record)]
    return "\n".join(lines) + "\n"


def csv(record: CompareRecord) -> str:
    """Every field of every row."""
    file = io.StringIO()
    writer = csv_module.DictWriter(file, list(PairRecord.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: csv_text(v) if isinstance(v, str) else v for k, v in row.model_dump().items()} for row in ordered(record)
    )
    return file.getvalue()
