"""A results folder of any size, made up without a model: what reports, comparisons and gates are timed on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from symbench.records import CellRecord, CellStatus, ElementRecord, FileRecord, Manifest, PartRecord
from symbench.store import PART, Store, content_key, sha256_file, write_controls, write_part, write_samples

CLASSES = 10
ENVIRONMENT = {"device": "cpu", "processor": "made up", "threads": 2, "platform": "none", "commit": None}
FACTS = {"parameters": 1e4, "flops": 1e6, "seconds_per_sample": 1e-4, "training_seconds": 10.0}


def made_run(
    root: Path,
    *,
    models: int,
    symmetries: int,
    samples: int,
    elements: int,
    version: int = 0,
    gates: list[dict[str, Any]] | None = None,
) -> Manifest:
    """Write a run of ``models x symmetries`` cells with correlated outcomes; ``version`` changes some of them."""
    store = Store(root)
    cells = []
    for model in range(models):
        for symmetry in range(symmetries):
            record = _cell(store, model, symmetry, samples, elements, version)
            names = {"model": f"model-{model:02d}", "dataset": "made", "symmetry": f"turns-{symmetry}"}
            cells.append(CellStatus(**names, key=record.key, status="done"))
    suite: dict[str, Any] = {"version": 1, "name": "made", "seed": 0, "gates": gates or []}
    manifest = Manifest(
        run=f"made-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{version:04x}", suite=suite, plan=[c.model for c in cells],
        cells=cells, environment=ENVIRONMENT, status="complete", started="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    store.write_manifest(manifest)
    return manifest


def _cell(store: Store, model: int, symmetry: int, samples: int, elements: int, version: int) -> CellRecord:
    identity = _identity(model, symmetry, elements, version)
    key = content_key(identity)
    folder = store.cell_folder(key)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((symmetry, model))
    skill = rng.beta(4, 1, size=samples)
    draws = rng.random((elements, samples))
    target = rng.integers(0, CLASSES, size=samples)
    other = (target + 1 + rng.integers(0, CLASSES - 1, size=(elements, samples))) % CLASSES
    deviation = rng.gamma(2.0, 0.1, size=(elements, samples)) * (1 - skill / 2)
    changed = np.random.default_rng((version, 7)).random(samples) < 0.03 * version
    draws = np.where(changed, 1 - draws, draws)
    correct = draws < skill
    prediction = np.where(correct, target, other)
    deviation[0] = 0.0
    parts = []
    for first in range(0, samples, PART):
        mine = slice(first, min(first + PART, samples))
        path = _write(folder, mine, prediction, target, correct, deviation)
        parts.append(PartRecord(file=path.name, first=first, last=mine.stop - 1, sha256=sha256_file(path)))
    turns = [
        ElementRecord(
            element=k, label=f"{360 * k / elements:g}°", kind="permutation", size=min(k, elements - k) * 360 / elements,
            weight=1 / elements, parameters={"angle_deg": 360 * k / elements},
        )
        for k in range(elements)
    ]  # fmt: skip
    whole = {"field": "Scalar", "task": "classification", "labelled": True, "measured_on": "probabilities"}
    record = CellRecord(
        key=key,
        identity=identity,
        samples=samples,
        outputs={"logits": {**whole, "unit": "probability", "mean_square": 0.5, "null_limit_sq": 1e-12}},
        size_unit="deg",
        elements_how="design",
        elements=turns,
        parts=parts,
        samples_file=write_samples(
            folder, [{"output": ["logits"] * samples, "sample": np.arange(samples), "averaged_prediction": target}]
        ),
        controls_file=_controls(folder),
        controls={"repeat": "made up"},
        facts=dict(FACTS),
        checkpoint=content_key([model, version]),
        environment=ENVIRONMENT,
    )
    store.write_cell(record)
    return record


def _identity(model: int, symmetry: int, elements: int, version: int) -> dict[str, Any]:
    return {
        "model": {"weights": f"{model}.{version}"}, "dataset": {"digest": "made"},
        "symmetry": {"group": "C", "elements": elements, "number": symmetry},
        "numerics": {"device": "cpu", "dtype": "float32"}, "scores": "probabilities", "seed": 0, "limit": None,
        "versions": {"evaluate": 0},
    }  # fmt: skip


def _write(folder: Path, mine: slice, prediction: Any, target: Any, correct: Any, deviation: Any) -> Path:
    k, n = prediction[:, mine].shape
    unmoved = np.broadcast_to(np.arange(k)[:, None] == 0, (k, n))
    confidence = 0.5 + 0.5 * np.exp(-deviation[:, mine])
    columns = {
        "control": [None] * (k * n), "output": ["logits"] * (k * n),
        "sample": np.tile(np.arange(mine.start, mine.stop), k), "element": np.repeat(np.arange(k), n),
        "prediction": prediction[:, mine].ravel(), "target": np.tile(target[mine], k),
        "correct": correct[:, mine].ravel(), "valid": np.ones(k * n, dtype=bool),
        "loss": -np.log(confidence).ravel(), "score": confidence.ravel(), "confidence": confidence.ravel(),
        "target_probability": confidence.ravel(), "deviation_sq": deviation[:, mine].ravel(),
        "unrelated_sq": np.where(unmoved, np.nan, 1.0 + deviation[:, mine]).ravel(),
    }  # fmt: skip
    return write_part(folder, mine.start, mine.stop - 1, columns)


def _controls(folder: Path) -> FileRecord:
    empty: dict[str, Any] = {
        name: []
        for name in (
            "control", "output", "sample", "element", "prediction", "target", "correct", "valid", "loss", "score",
            "confidence", "target_probability", "deviation_sq", "unrelated_sq",
        )
    }  # fmt: skip
    return write_controls(folder, empty)
