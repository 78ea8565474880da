"""From a run's files to its table of estimates: the one table that reports, comparisons and gates read.

No torch: everything here works on a laptop that has only the results folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from symbench.metrics import METRICS, MetricRow
from symbench.metrics.base import Observed, Value
from symbench.statistics import LEVEL
from symbench.store import CellRecord, CellStatus, Manifest, Store

COLUMNS = (
    "model", "replica", "dataset", "symmetry", "output", "element", "elements", "k", "metric", "estimate", "low",
    "high", "level", "n", "unit", "better", "floor", "status", "reason",
)  # fmt: skip
"""One row each; DESIGN.md "Files of a run". ``status`` is ``ok``, ``undefined`` (with a reason) or ``failed``."""

BOOTSTRAP_SEED = 0


def of_run(store: Store, manifest: Manifest) -> pd.DataFrame:
    """Every estimate of a run, one row each, in the order of the plan. A failed cell is rows with its reason."""
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    for cell in manifest.cells:
        record = store.cell(cell.key) if cell.status != "failed" else None
        if record is None:
            rows.extend(_failed(cell))
            continue
        fresh = (cell.model, cell.dataset) not in seen
        seen.add((cell.model, cell.dataset))
        rows.extend(_cell_rows(store, cell, record, with_model=fresh))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ["estimate", "low", "high", "level", "floor"]
    frame[numbers] = frame[numbers].astype("float64")
    frame[["k", "n", "replica"]] = frame[["k", "n", "replica"]].astype("Int64")
    return frame


def _failed(cell: CellStatus) -> Iterator[dict[str, Any]]:
    status = "failed" if cell.status == "failed" else "missing"
    for name, metric in METRICS:
        if metric.scope == "symmetry":
            yield _row(cell, name, metric, Value(None, reason=cell.reason or "not measured yet"), status=status)


def _cell_rows(store: Store, cell: CellStatus, record: CellRecord, *, with_model: bool) -> Iterator[dict[str, Any]]:
    observations, samples = store.observations(cell.key), store.samples(cell.key)
    for output in record.outputs:
        whole = observed(observations, samples, record, output)
        kinds = sorted(set(whole.kinds[1:]))
        subsets = [(kinds[0] if len(kinds) == 1 else "all", whole)]
        if len(kinds) > 1:
            subsets += [(kind, whole.only(kind)) for kind in kinds]
        for name, metric in METRICS:
            function = metric.load()
            if metric.scope == "model":
                if with_model and output == next(iter(record.outputs)):
                    yield from (_row(cell, name, metric, v, symmetry=None, output=None) for v in function(whole))
                continue
            unit = record.outputs[output]["unit"] if metric.unit == "output" else metric.unit
            for number, (kind, subset) in enumerate(subsets):
                for value in function(subset):
                    if value.element is None or number == 0:
                        yield _row(cell, name, metric, value, output=output, elements=kind, k=subset.moved, unit=unit)


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
        facts=record.facts,
        seed=BOOTSTRAP_SEED,
    )


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
        "status": status or ("ok" if value.estimate is not None else "undefined"), "reason": value.reason,
    }  # fmt: skip
    return {**found, **more}
