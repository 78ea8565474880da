"""What trainings break alike and what each breaks in its own way: systematic and spontaneous breaking."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from symbench.algebra.metrics import Metrics
from symbench.algebra.statistics import Array
from symbench.algebra.statistics.replicas import FEWEST_REPLICAS, Shared, systematic
from symbench.base.errors import CellError, Problem
from symbench.base.records import CellRecord, Manifest
from symbench.measure.store import Store
from symbench.measure.suite.studies import Breaking
from symbench.read.estimates import BOOTSTRAP_SEED
from symbench.read.studies.answer import Answer
from symbench.read.studies.arms import Point, listed, sweep_of


def answer(cells: Store, manifest: Manifest, asked: Breaking, metrics: Metrics) -> Answer:
    """Of every arm the squared deviation of one training, and the part of it that all have in common.

    Raises:
        CellError: nothing of them was measured, or deviations were not kept.
    """
    del metrics
    sweep = sweep_of(cells, manifest, asked, None)
    found, reasons = [], []
    for point in sweep.points:
        try:
            found.append((point, systematic(_deviations(cells, point), seed=BOOTSTRAP_SEED)))
        except CellError as error:
            reasons.append(f"{str(error).rstrip('.')}.")
    if not found:
        raise CellError(Problem("studies", " ".join(reasons).rstrip(".")))
    frame = pd.DataFrame([_line(point, shared) for point, shared in found])
    title = asked.title or f"breaking that {listed(sweep.arms)} have in common over seeds"
    head = f"What outputs on {sweep.dataset} are off by under {sweep.symmetry}, squared:"
    said = [_sentence(point, shared) for point, shared in found]
    return Answer(title, " ".join([head, *said, *reasons, *sweep.missing]), frame, "breaking")


def _deviations(cells: Store, point: Point) -> Array:
    """What replicas are off by, ``(replicas, n, numbers)``, elements weighted by their share."""
    if len(point.records) < FEWEST_REPLICAS:
        raise CellError(Problem(point.arm, "got one training", "two or more, from several seeds"))
    found = [_of(cells, record, point.arm) for record in point.records]
    if len({values.shape for values in found}) > 1:
        raise CellError(Problem(point.arm, "its replicas were measured on other samples or outputs"))
    deviations = np.stack(found)
    if not deviations.size or not np.isfinite(deviations).all():
        raise CellError(Problem(point.arm, "what its outputs are off by is too much to be kept, or not finite"))
    return deviations


def _of(cells: Store, record: CellRecord, arm: str) -> Array:
    table = cells.deviations(record.key)
    if table is None:
        remedy = "Measure it again: models with a seed keep it."
        raise CellError(Problem(arm, "what its outputs are off by was not kept", None, remedy))
    mine = table.filter(pc.equal(table["output"], next(iter(record.outputs))))
    k = len(record.elements)
    values = mine["values"].combine_chunks().flatten().to_numpy().reshape(k, len(mine) // k, -1).astype(np.float64)
    weights = np.array([element.weight for element in record.elements])
    scaled = values * np.sqrt(weights / weights.sum())[:, None, None]
    flat: Array = scaled.transpose(1, 0, 2).reshape(values.shape[1], -1)
    return flat


def _line(point: Point, shared: Shared) -> dict[str, object]:
    known = {"": shared.own, "common_": shared.common, "share_": shared.share}
    numbers = {
        f"{name}{end}": getattr(interval, end)
        for name, interval in known.items()
        for end in ("estimate", "low", "high")
    }
    return {"arm": point.arm, "replicas": len(point.records), **numbers, "unit": ""}


def _sentence(point: Point, shared: Shared) -> str:
    share, own, count = shared.share, shared.own, len(point.records)
    if own.estimate == 0:
        return f"{point.arm} breaks nothing."
    head = f"{point.arm} {own.estimate:.3g} for one training, of which {100 * share.estimate:.1f} %"
    if share.low is None or share.high is None:
        return f"{head} is common to all: inconclusive, {count} trainings are too few for an interval."
    found = f"{head} [{100 * share.low:.1f}, {100 * share.high:.1f}] is common to all"
    if share.low > 0:
        return f"{found}: systematic, more trainings do not average it out."
    return f"{found}: nothing systematic is seen with {count} trainings."
