"""What a cell's controls came to: floors, the split of E, Lie derivatives, layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd

from symbench.algebra.controls import FIXED
from symbench.algebra.metrics.accuracy import in_bytes
from symbench.algebra.metrics.base import Context, Observed
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece, Total
from symbench.algebra.metrics.places import unit_of
from symbench.algebra.statistics import Array
from symbench.base.records import CellRecord, FindingRecord

Kind = TypeVar("Kind", bound=Context)
SINGLE = 30 * 2.0**-23
"""Relative error that a network's rounding in float32 stays below."""
TOLD_APART = {"exact": 100, "fused": 100, "fast": 4}
"""How many times what precision makes of outputs samples have to differ by, for E to be defined. In half precision an
error of 1 % is usual and leaves an E of 0.1 above its floor; that samples differ by more was checked."""


def basis(seen: Observed, found: Found) -> Mapping[str, Piece]:
    """What floors are made from: the sum of ``unrelated_sq``, how many there are, and the identity's predictions."""
    del found
    unrelated, predictions = seen.unrelated_sq[1:], seen.predictions
    said = {} if predictions is None else {"before": Each(in_bytes(predictions[0].T))}
    known = {
        "unrelated": np.nansum(unrelated),
        "count": (~np.isnan(unrelated)).sum(),
        "finite": np.isfinite(unrelated).sum(),
    }
    return {**said, **{name: Total(value) for name, value in known.items()}}


BASIS = Folded(lambda *_: [], (basis,), ("unrelated_sq", "prediction", "label_scores"))
"""What is taken of every cell, whatever the metrics."""


def with_controls(seen: Kind, rows: pd.DataFrame, record: CellRecord, output: str, found: Found) -> Kind:
    """Add what the controls came to: floors, E in two precisions, and the limit of a null that can be told apart.

    The floor of E is three times the largest of the distances of repeat, re-batch and precision, in units of the
    null; of deviations the same without it, and for each place in the unit that errors are told in; of behaviour
    the largest share of predictions that repeating or re-batching alone changes; of the model's share of E three
    times what two routes to one element differ by.

    Args:
        seen: a cell.
        rows: of its controls.
        record: its record.
        output: the output's name.
        found: of all samples, with :data:`BASIS`.
    """
    known: dict[str, pd.DataFrame] = {str(name): group for name, group in rows.groupby("control")}
    mean_square = record.outputs[output]["mean_square"]
    null = float(found["unrelated"] / found["count"]) if found["finite"] else 0.0
    before = found.get("before")
    squares = {n: float(known[n]["deviation_sq"].mean()) for n in ("repeat", "re-batch", "precision") if n in known}
    came: dict[str, float] = {}
    if squares:
        largest = max(squares.values())
        came["deviation"] = 3 * largest**0.5
        if seen.per_sample:
            came["place"] = unit_of(seen)[0] * came["deviation"] / seen.per_sample ** (1 if seen.extensive else 0.5)
        if null > 0:
            came["error"] = 3 * (largest / null) ** 0.5
    kept = [_as_before(seen, known[name], before) for name in ("repeat", "re-batch") if name in known]
    changed = [float(1 - np.nanmean(each)) for each in kept if each is not None]
    if changed:
        came["behaviour"] = max(changed)
    for control, name in (("suite dtype", "e32"), ("float64", "e64")):
        if control in known and known[control]["unrelated_sq"].mean() > 0:
            came[name] = float((known[control]["deviation_sq"].mean() / known[control]["unrelated_sq"].mean()) ** 0.5)
    best = known.get("float64", known.get("suite dtype"))  # the latter where the model does not run in float64
    if best is not None and best["unrelated_sq"].mean() > 0:
        came["single"] = SINGLE * (mean_square / float(best["unrelated_sq"].mean())) ** 0.5
    split = _split(known, seen, before)
    if "unrelated" in split and split["unrelated"].mean() > 0:
        own = 3 * float(split["two routes"].mean() / split["unrelated"].mean()) ** 0.5
        came["reference"] = max(own, came.get("error", 0.0))
    limit = max(seen.null_limit_sq, TOLD_APART[record.mode] ** 2 * squares.get("precision", 0.0))
    return replace(
        seen,
        controls=came,
        null_limit_sq=limit,
        split=split,
        lie={g.label: _lie(known, number) for number, g in enumerate(record.generators) if "Lie central" in known},
        layers=_layers(known) if output == next(iter(record.outputs)) else {},
        measured={name: _measured(rows, record) for name, rows in known.items()},
        units={g.label: g.unit for g in record.generators},
        sizes=record.sizes,
        lower=record.lower_precision,
        findings=found_of(record, output),
        fixed=_fixed(known),
        reasons={name: reason for name, reason in record.controls.items() if reason is not None},
    )


def found_of(record: CellRecord, output: str) -> dict[str, list[FindingRecord]]:
    """By control all that was found of an output, or of the whole cell."""
    found: dict[str, list[FindingRecord]] = {}
    for each in record.findings:
        if each.output in (None, output):
            found.setdefault(each.control, []).append(each)
    return found


def _split(known: Mapping[str, pd.DataFrame], seen: Context, before: Array | None) -> dict[str, Array]:
    """Means over the split elements, per sample."""
    if "round trip" not in known:
        return {}
    found = {}
    if "reference" in known:
        found = {n: _per_sample(known[n], "deviation_sq") for n in ("total", "reference", "remainder", "two routes")}
        found["unrelated"] = _per_sample(known["reference"], "unrelated_sq")
    back = known["round trip"]
    survived = _as_before(seen, back, before)
    if survived is not None:
        found["survived"] = _per_sample(back.assign(survived=survived), "survived")
    return found


def _fixed(known: Mapping[str, pd.DataFrame]) -> dict[str, Array]:
    """Of symmetric inputs, per sample."""
    if FIXED not in known:
        return {}
    both = (("deviation", "deviation_sq"), ("unrelated", "unrelated_sq"))
    return {name: _per_sample(known[FIXED], column) for name, column in both}


def _measured(rows: pd.DataFrame, record: CellRecord) -> tuple[str, int, int]:
    """The kind, number of elements and number of samples of a control's rows."""
    numbers = rows["element"].unique().tolist()
    kinds = {record.elements[number].kind for number in numbers if number < len(record.elements)}
    return (kinds.pop() if len(kinds) == 1 else "all"), len(numbers), rows["sample"].nunique()


def _per_sample(rows: pd.DataFrame, column: str) -> Array:
    """The mean over elements, samples in ascending order."""
    means: Array = rows.groupby("sample")[column].mean().to_numpy(dtype=np.float64)
    return means


def _lie(known: Mapping[str, pd.DataFrame], number: int) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for control, name, column in (
        ("Lie central", "central", "deviation_sq"),
        ("Lie central", "unrelated", "unrelated_sq"),
        ("Lie central", "dimension", "score"),
        ("Lie forward", "forward", "deviation_sq"),
        ("Lie gap", "gap", "deviation_sq"),
    ):
        if control in known and (known[control]["element"] == number).any():
            found[name] = _per_sample(known[control][known[control]["element"] == number], column)
    return found


def _layers(known: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Array]]:
    if "layer" not in known:
        return {}
    found = {}
    for name, rows in known["layer"].groupby("output", sort=False):
        ordered = rows.sort_values(["element", "sample"])
        elements = ordered["element"].nunique()
        found[str(name)] = {
            short: ordered[column].to_numpy(dtype=np.float64).reshape(elements, -1)
            for short, column in (("deviation", "deviation_sq"), ("unrelated", "unrelated_sq"))
        }
    return found


def _as_before(seen: Context, rows: pd.DataFrame, before: Array | None) -> Array | None:
    """Of each row of a control the share of what is predicted that the identity pass predicts too, ``(rows,)``.

    Args:
        seen: the cell.
        rows: of a control.
        before: what the identity pass predicts, ``(labels, n)``; None where it predicts no classes.
    """
    if rows["place_kept"].notna().any():  # of places, which the control compared itself
        return rows["place_kept"].to_numpy(dtype=np.float64)
    several = seen.task == "multi-label"
    column = "label_scores" if several else "prediction"
    if before is None or rows[column].isna().any():
        return None
    mine = before[:, np.searchsorted(seen.samples, rows["sample"].to_numpy())].T  # (rows, labels)
    said = np.stack(list(rows[column])) > 0 if several else rows["prediction"].to_numpy()[:, None]
    kept: Array = (said == mine).mean(axis=1)
    return kept
