"""From a cell's files to the arrays that metrics see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from symbench.algebra.metrics.base import Observed
from symbench.algebra.statistics import Array
from symbench.base.columns import SEEN
from symbench.base.passes import PassRecord
from symbench.base.records import CellRecord

SINGLE = 30 * 2.0**-23
"""Relative error that a network's rounding in float32 stays below."""
TOLD_APART = {"exact": 100, "fused": 100, "fast": 4}
"""How many times what precision makes of outputs samples have to differ by, for E to be defined. In half precision an
error of 1 % is usual and leaves an E of 0.1 above its floor; that samples differ by more was checked."""


class Cells(Protocol):
    """Where measured cells are: a results folder, or a baseline."""

    def cell(self, key: str) -> CellRecord | None:
        """The record of a finished cell, if it is there and is what was written."""

    def fault(self, key: str) -> str | None:
        """Why a cell that is there counts as not measured."""

    def observations(self, key: str) -> pa.Table:
        """All observations of a finished cell."""

    def samples(self, key: str) -> pa.Table:
        """The table of whole orbits of a finished cell."""

    def controls(self, key: str) -> pa.Table:
        """The rows of a finished cell's controls."""

    def pass_of(self, key: str, file: str) -> PassRecord:
        """A throughput pass.

        Raises:
            ConfigError: it is missing, or not what was written.
        """


def outputs_of(cells: Cells, record: CellRecord) -> Iterator[tuple[str, Observed]]:
    """Every output of a cell, with what its controls came to."""
    samples = cells.samples(record.key)
    controls = cells.controls(record.key).to_pandas()
    for output in record.outputs:
        mine = controls[(controls["output"] == output) | (controls["control"] == "layer")]
        seen = observed(cells.observations(record.key), samples, record, output)  # read anew: the table is not kept
        yield output, with_controls(seen, mine, record, output)


def observed(observations: pa.Table, samples: pa.Table, record: CellRecord, output: str) -> Observed:
    """The rows of one output as arrays ``(k, n)``, samples in ascending order."""
    mine = pc.and_(pc.equal(observations["output"], output), pc.is_null(observations["control"]))
    table = observations if pc.all(mine).as_py() else observations.filter(mine)
    elements, shape = len(record.elements), (len(record.elements), record.samples)
    if len(table) != elements * record.samples:
        raise AssertionError(f"{record.key}: {len(table)} rows, expected {elements} x {record.samples}")
    sample = table["sample"].to_numpy()
    order = np.lexsort((sample, table["element"].to_numpy()))

    arrays = {name: _array(table[name], order, shape) for name in SEEN}
    deviation, unrelated = arrays["deviation_sq"], arrays["unrelated_sq"]
    if deviation is None:
        raise AssertionError(f"{record.key}: no deviations")
    if unrelated is None:
        arrays["unrelated_sq"] = np.full_like(deviation, np.nan)
    scores, targets = arrays["label_scores"], arrays["label_targets"]
    if scores is not None and targets is not None:  # of several labels: the share that is right
        arrays["correct"] = ((scores > 0) == targets).mean(axis=-1)
    weights = np.array([e.weight for e in record.elements])
    known: dict[str, Any] = {**arrays, "valid": arrays["valid"] == 1}
    return Observed(
        **known,
        task=record.outputs[output]["task"],
        samples=sample[order[: record.samples]],
        averaged=_averaged(samples, output),
        weights=weights / weights.sum(),
        labels=[e.label for e in record.elements],
        kinds=[e.kind for e in record.elements],
        strata=[e.stratum for e in record.elements],
        null_limit_sq=record.outputs[output]["null_limit_sq"],
        controls={},
        facts=record.facts,
        remarks=record.remarks,
    )


def _array(column: pa.ChunkedArray, order: Array, shape: tuple[int, int]) -> Array | None:
    """A column as float64 ``(k, n)``, or ``(k, n, labels)`` where it holds lists; None where nothing is in it."""
    if column.null_count == len(column):
        return None
    if pa.types.is_list(column.type):
        flat = column.combine_chunks().flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
        values: Array = flat.reshape(len(column), -1)[order].reshape(*shape, -1)
    else:
        values = column.cast(pa.float64()).to_numpy()[order].reshape(shape)
    return values


def with_controls(seen: Observed, rows: pd.DataFrame, record: CellRecord, output: str) -> Observed:
    """Add what the controls came to: floors, E in two precisions, and the limit of a null that can be told apart.

    The floor of E is three times the largest of the distances of repeat, re-batch and precision, in units of the
    null; of deviations the same without the unit; of behaviour the largest share of predictions that repeating or
    re-batching alone changes; of the model's share of E three times what two routes to one element differ by.
    """
    known: dict[str, pd.DataFrame] = {str(name): group for name, group in rows.groupby("control")}
    mean_square = record.outputs[output]["mean_square"]
    null = float(np.nanmean(seen.unrelated_sq[1:])) if np.isfinite(seen.unrelated_sq[1:]).any() else 0.0
    squares = {n: float(known[n]["deviation_sq"].mean()) for n in ("repeat", "re-batch", "precision") if n in known}
    found: dict[str, float] = {}
    if squares:
        largest = max(squares.values())
        found["deviation"] = 3 * largest**0.5
        if null > 0:
            found["error"] = 3 * (largest / null) ** 0.5
    changed = [_changed(seen, known[name]) for name in ("repeat", "re-batch") if name in known]
    if changed and seen.predictions is not None:
        found["behaviour"] = max(changed)
    for control, name in (("suite dtype", "e32"), ("float64", "e64")):
        if control in known and known[control]["unrelated_sq"].mean() > 0:
            found[name] = float(
                (known[control]["deviation_sq"].mean() / known[control]["unrelated_sq"].mean()) ** 0.5
            )
    best = known.get("float64", known.get("suite dtype"))  # the latter where the model does not run in float64
    if best is not None and best["unrelated_sq"].mean() > 0:
        found["single"] = SINGLE * (mean_square / float(best["unrelated_sq"].mean())) ** 0.5
    split = _split(known, seen)
    if "unrelated" in split and split["unrelated"].mean() > 0:
        own = 3 * float(split["two routes"].mean() / split["unrelated"].mean()) ** 0.5
        found["reference"] = max(own, found.get("error", 0.0))
    limit = max(seen.null_limit_sq, TOLD_APART[record.mode] ** 2 * squares.get("precision", 0.0))
    return replace(
        seen,
        controls=found,
        null_limit_sq=limit,
        split=split,
        lie={g.label: _lie(known, number) for number, g in enumerate(record.generators) if "Lie central" in known},
        layers=_layers(known) if output == next(iter(record.outputs)) else {},
        measured={name: _measured(rows, record) for name, rows in known.items()},
        units={g.label: g.unit for g in record.generators},
        sizes=record.sizes,
        lower=record.lower_precision,
        reasons={name: reason for name, reason in record.controls.items() if reason is not None},
    )


def _split(known: Mapping[str, pd.DataFrame], seen: Observed) -> dict[str, Array]:
    """Means over the split elements, per sample."""
    if "round trip" not in known:
        return {}
    found = {}
    if "reference" in known:
        found = {n: _per_sample(known[n], "deviation_sq") for n in ("total", "reference", "remainder", "two routes")}
        found["unrelated"] = _per_sample(known["reference"], "unrelated_sq")
    back = known["round trip"]
    survived = _as_before(seen, back)
    if survived is not None:
        found["survived"] = _per_sample(back.assign(survived=survived), "survived")
    return found


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


def _changed(seen: Observed, rows: pd.DataFrame) -> float:
    """The share of control samples whose prediction is not that of the identity pass."""
    kept = _as_before(seen, rows)
    return 0.0 if kept is None else float(1 - kept.mean())


def _as_before(seen: Observed, rows: pd.DataFrame) -> Array | None:
    """Of each row of a control the share of what is predicted that the identity pass predicts too, ``(rows,)``."""
    column = "prediction" if seen.label_scores is None else "label_scores"
    if seen.predictions is None or rows[column].isna().any():
        return None
    place = {sample: i for i, sample in enumerate(seen.samples.tolist())}
    before = seen.predictions[0][[place[sample] for sample in rows["sample"]]]  # (rows, labels)
    said = rows["prediction"].to_numpy()[:, None] if seen.label_scores is None else np.stack(list(rows[column])) > 0
    kept: Array = (said == before).mean(axis=1)
    return kept


def _averaged(samples: pa.Table, output: str) -> Array | None:
    mine = samples.filter(pc.equal(samples["output"], output))
    found = mine["averaged_prediction"]
    if found.null_count == len(mine):
        return None
    values: Array = found.cast(pa.float64()).to_numpy()[np.argsort(mine["sample"].to_numpy())]
    return values
