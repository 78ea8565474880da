"""From a run's files to its table of estimates: the one table that reports, comparisons and gates read.

No torch: everything here works on a laptop that has only the results folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from symbench.code import foreign
from symbench.errors import CellError
from symbench.metrics import METRICS, MetricRow
from symbench.metrics.base import Observed, Value
from symbench.records import CellRecord, CellStatus, Manifest
from symbench.statistics import LEVEL
from symbench.store import Store

COLUMNS = (
    "model", "replica", "dataset", "symmetry", "output", "element", "elements", "k", "metric", "estimate", "low",
    "high", "level", "n", "unit", "better", "floor", "status", "reason",
)  # fmt: skip
"""The columns, one row for each estimate. ``status`` is ``ok``, ``undefined`` (with a reason) or ``failed``."""

BOOTSTRAP_SEED = 0
SINGLE = 30 * 2.0**-23
"""Relative error that a network's rounding in float32 stays below."""


def of_run(store: Store, manifest: Manifest) -> pd.DataFrame:
    """Every estimate of a run, one row each, in the order of the plan. A failed cell is rows with its reason."""
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    seconds = _seconds(store, manifest)
    for cell in manifest.cells:
        record = store.cell(cell.key) if cell.status != "failed" else None
        if record is None:
            rows.extend(_failed(cell))
            continue
        record = record.model_copy(
            update={"facts": {**record.facts, "seconds_per_sample": seconds[cell.model, cell.dataset]}}
        )
        fresh = (cell.model, cell.dataset) not in seen
        seen.add((cell.model, cell.dataset))
        rows.extend(_cell_rows(store, cell, record, with_model=fresh))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ["estimate", "low", "high", "level", "floor"]
    frame[numbers] = frame[numbers].astype("float64")
    frame[["k", "n", "replica"]] = frame[["k", "n", "replica"]].astype("Int64")
    return frame


def _seconds(store: Store, manifest: Manifest) -> dict[tuple[str, str], float]:
    """The time per sample of every model on every dataset: the median over its cells, each of which took one."""
    found: dict[tuple[str, str], list[float]] = {}
    for cell in manifest.cells:
        record = store.cell(cell.key) if cell.status != "failed" else None
        if record is not None:
            found.setdefault((cell.model, cell.dataset), []).append(record.facts["seconds_per_sample"] or 0.0)
    return {key: float(np.median(values)) for key, values in found.items()}


def _failed(cell: CellStatus) -> Iterator[dict[str, Any]]:
    status = "failed" if cell.status == "failed" else "missing"
    for name, metric in METRICS:
        if metric.scope != "model":
            yield _row(cell, name, metric, Value(None, reason=cell.reason or "not measured yet"), status=status)


def _cell_rows(store: Store, cell: CellStatus, record: CellRecord, *, with_model: bool) -> Iterator[dict[str, Any]]:
    observations, samples = store.observations(cell.key), store.samples(cell.key)
    controls = store.controls(cell.key).to_pandas()
    for output in record.outputs:
        whole = with_controls(
            observed(observations, samples, record, output),
            controls[(controls["output"] == output) | (controls["control"] == "layer")],
            record,
            output,
        )
        kinds = sorted(set(whole.kinds[1:]))
        subsets = [(kinds[0] if len(kinds) == 1 else "all", whole)]
        if len(kinds) > 1:
            subsets += [(kind, whole.only(kind)) for kind in kinds]
        for name, metric in METRICS:
            function = _guarded(name, metric)
            if metric.scope == "model":
                if with_model and output == next(iter(record.outputs)):
                    yield from (_row(cell, name, metric, v, symmetry=None, output=None) for v in function(whole))
                continue
            unit = record.outputs[output]["unit"] if metric.unit == "output" else metric.unit
            for number, (kind, subset) in enumerate(subsets[:1] if metric.scope == "control" else subsets):
                for value in function(subset):
                    if value.element is None or number == 0:
                        floor = (
                            whole.controls.get(metric.floor) if metric.floor and value.estimate is not None else None
                        )
                        yield _row(
                            cell,
                            name,
                            metric,
                            value,
                            output=value.output or output,
                            elements=value.kind or kind,
                            k=value.k or subset.moved,
                            unit=value.unit or unit,
                            floor=floor,
                        )


def _guarded(name: str, metric: MetricRow) -> Callable[[Observed], list[Value]]:
    """A metric that cannot break the table: what a plug-in's raises becomes the row's reason."""

    def compute(seen: Observed) -> list[Value]:
        try:
            with foreign(CellError, f"metric {name}", "computing it"):
                found: list[Value] = metric.load()(seen)
                return found
        except CellError as error:
            return [Value(None, reason=str(error), failed=True)]

    return compute


def observed(observations: Any, samples: Any, record: CellRecord, output: str) -> Observed:
    """The rows of one output as arrays ``(k, n)``, samples in ascending order."""
    table = observations.to_pandas()
    table = table[(table["output"] == output) & table["control"].isna()].sort_values(["element", "sample"])
    elements = len(record.elements)
    if len(table) != elements * record.samples:
        raise AssertionError(f"{record.key}: {len(table)} rows, expected {elements} x {record.samples}")

    def column(name: str) -> np.ndarray | None:
        values = table[name]
        if values.isna().all():
            return None
        return values.to_numpy(dtype=np.float64, na_value=np.nan).reshape(elements, record.samples)

    deviation, unrelated = column("deviation_sq"), column("unrelated_sq")
    if deviation is None:
        raise AssertionError(f"{record.key}: no deviations")
    weights = np.array([e.weight for e in record.elements])
    return Observed(
        correct=column("correct"),
        samples=table["sample"].to_numpy()[: record.samples],
        prediction=column("prediction"),
        target=column("target"),
        confidence=column("confidence"),
        averaged=_averaged(samples, output),
        loss=column("loss"),
        deviation_sq=deviation,
        unrelated_sq=np.full_like(deviation, np.nan) if unrelated is None else unrelated,
        weights=weights / weights.sum(),
        labels=[e.label for e in record.elements],
        kinds=[e.kind for e in record.elements],
        null_limit_sq=record.outputs[output]["null_limit_sq"],
        valid=table["valid"].to_numpy(dtype=bool).reshape(elements, record.samples),
        controls={},
        facts=record.facts,
        seed=BOOTSTRAP_SEED,
    )


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
    if changed and seen.prediction is not None:
        found["behaviour"] = max(changed)
    for control, name in (("suite dtype", "e32"), ("float64", "e64")):
        if control in known and known[control]["unrelated_sq"].mean() > 0:
            found[name] = float(
                (known[control]["deviation_sq"].mean() / known[control]["unrelated_sq"].mean()) ** 0.5
            )
    if "float64" in known and known["float64"]["unrelated_sq"].mean() > 0:
        found["single"] = SINGLE * (mean_square / float(known["float64"]["unrelated_sq"].mean())) ** 0.5
    split = _split(known, seen)
    if "unrelated" in split and split["unrelated"].mean() > 0:
        own = 3 * float(split["two routes"].mean() / split["unrelated"].mean()) ** 0.5
        found["reference"] = max(own, found.get("error", 0.0))
    limit = max(seen.null_limit_sq, 1e4 * squares.get("precision", 0.0))
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
        reasons={name: reason for name, reason in record.controls.items() if reason is not None},
    )


def _split(known: Mapping[str, pd.DataFrame], seen: Observed) -> dict[str, np.ndarray]:
    """Means over the split elements, per sample."""
    if "round trip" not in known:
        return {}
    found = {}
    if "reference" in known:
        found = {n: _per_sample(known[n], "deviation_sq") for n in ("total", "reference", "remainder", "two routes")}
        found["unrelated"] = _per_sample(known["reference"], "unrelated_sq")
    back = known["round trip"]
    if seen.prediction is not None and back["prediction"].notna().all():
        before = dict(zip(seen.samples.tolist(), seen.prediction[0].tolist(), strict=True))
        survived = back["sample"].map(before) == back["prediction"]
        found["survived"] = _per_sample(back.assign(survived=survived.astype("float64")), "survived")
    return found


def _measured(rows: pd.DataFrame, record: CellRecord) -> tuple[str, int, int]:
    """The kind, number of elements and number of samples of a control's rows."""
    numbers = rows["element"].unique().tolist()
    kinds = {record.elements[number].kind for number in numbers if number < len(record.elements)}
    return (kinds.pop() if len(kinds) == 1 else "all"), len(numbers), rows["sample"].nunique()


def _per_sample(rows: pd.DataFrame, column: str) -> np.ndarray:
    """The mean over elements, samples in ascending order."""
    means: np.ndarray = rows.groupby("sample")[column].mean().to_numpy(dtype=np.float64)
    return means


def _lie(known: Mapping[str, pd.DataFrame], number: int) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
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


def _layers(known: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, np.ndarray]]:
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
    if seen.prediction is None or rows["prediction"].isna().any():
        return 0.0
    before = dict(zip(seen.samples.tolist(), seen.prediction[0].tolist(), strict=True))
    return float(np.mean([before[s] != p for s, p in zip(rows["sample"], rows["prediction"], strict=True)]))


def _averaged(samples: Any, output: str) -> np.ndarray | None:
    table = samples.to_pandas()
    mine = table[table["output"] == output].sort_values("sample")["averaged_prediction"]
    return None if mine.isna().all() else mine.to_numpy(dtype=np.float64)


def _row(
    cell: CellStatus, name: str, metric: MetricRow, value: Value, *, status: str | None = None, **more: Any
) -> dict[str, Any]:
    found = {
        "model": cell.model, "replica": 0, "dataset": cell.dataset, "symmetry": cell.symmetry, "output": None,
        "element": value.element, "elements": None, "k": None, "metric": name, "estimate": value.estimate,
        "low": value.low, "high": value.high, "level": LEVEL if value.low is not None else None, "n": value.n,
        "unit": metric.unit, "better": metric.better, "floor": None,
        "status": status or value.status, "reason": value.reason,
    }  # fmt: skip
    return {**found, **more}
