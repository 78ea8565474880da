"""Results folders that are made rather than measured: whole runs in a moment, of any size and under any name."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from symbench.algebra.statistics import Array
from symbench.base.columns import GALLERY, OBSERVATIONS
from symbench.base.records import CellRecord, CellStatus, ElementRecord, GateRecord, Manifest, MatchRecord, PartRecord
from symbench.measure.store import (
    Store,
    content_key,
    sha256_file,
    write_controls,
    write_gallery,
    write_part,
    write_samples,
)

HOSTILE = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'single'",
    "../../slash\\back",
    "=1+2",
    "שלום \u202eabc",
    "a|b_c*$x$",
)
"""Names as nobody should choose them."""
ENVIRONMENT = {
    "python": "3.11", "platform": "Linux", "device": "cpu", "threads": 2, "packages": {"symbench": "0.1.0"}, "commit": None,
}  # fmt: skip
Elements = list[ElementRecord]
MOST_CONTROLS = 256
"""Control samples, as suites have them where they do not say otherwise."""


def rotations(count: int = 12) -> Elements:
    """Evenly spread turns, resampled."""
    angles = [360.0 * i / count for i in range(count)]
    return [
        ElementRecord(
            element=i,
            label=f"{a:g}°",
            kind="resampled",
            size=min(a, 360 - a),
            weight=1 / count,
            parameters={"angle_deg": a},
        )
        for i, a in enumerate(angles)
    ]


def shifts(reach: int = 2) -> Elements:
    """All shifts within a reach, the unshifted place first."""
    side = range(-reach, reach + 1)
    places = sorted(((y, x) for y in side for x in side), key=lambda place: place != (0, 0))
    return [
        ElementRecord(
            element=i, label=f"({y},{x})px", kind="permutation", size=float(np.hypot(y, x)), weight=1 / len(places),
            parameters={"dy_px": float(y), "dx_px": float(x)},
        )
        for i, (y, x) in enumerate(places)
    ]  # fmt: skip


def picture(value: int, side: int = 16) -> bytes:
    """A PNG."""
    buffer = BytesIO()
    pixels = np.add.outer(np.arange(side), np.arange(side)) * 4 + value
    Image.fromarray((pixels % 256).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def run(
    results: Path,
    *,
    models: Sequence[str] = ("plain", "robust"),
    symmetries: dict[str, Elements] | None = None,
    samples: int = 60,
    gallery: int = 3,
    failed: Sequence[str] = (),
    names: Sequence[str] = tuple("0123456789"),
    seed: int = 0,
    name: str = "made-20260101T000000Z-0000",
    side: int = 16,
) -> tuple[Store, Manifest]:
    """Write a run. The first model breaks as elements grow, the last hardly does.

    Args:
        results: the folder.
        models: their names.
        symmetries: by name.
        samples: of the dataset.
        gallery: pictures of each cell.
        failed: models whose cells fail.
        names: of the classes.
        seed: of what the models say.
        name: of the run.
        side: of the pictures, in pixels.
    """
    store, cells = Store(results), []
    symmetries = symmetries or {"rotations": rotations(), "shifts": shifts()}
    for number, model in enumerate(models):
        for symmetry, elements in symmetries.items():
            identity = _identity(model, symmetry, seed, samples)
            key = content_key(identity)
            reason = f"{model}: the outputs are not finite" if model in failed else None
            if reason is None and store.cell(key) is None:
                strength = 1 - number / max(len(models) - 1, 1)
                generator = np.random.default_rng([seed, number, len(elements)])
                _cell(store, identity, elements, samples, strength, generator)
                _pictures(store, key, elements, gallery, names, side)
            place = {"model": model, "dataset": "stripes", "symmetry": symmetry}
            status = "done" if reason is None else "failed"
            cells.append(CellStatus.model_validate({**place, "key": key, "status": status, "reason": reason}))
    suite = {
        "name": "made", "seed": seed, "gates": [],
        "models": {model: {"use": "cnn", "train": {"on": "stripes", "epochs": 3}} for model in models},
    }  # fmt: skip
    manifest = Manifest(
        run=name, suite=suite, plan=[f"{c.model}/{c.dataset}/{c.symmetry}" for c in cells], cells=cells,
        environment=ENVIRONMENT, status="incomplete" if failed else "complete",
        started="2026-01-01T00:00:00+00:00", finished="2026-01-01T00:01:00+00:00",
    )  # fmt: skip
    store.write_manifest(manifest)
    return store, manifest


def _identity(model: str, symmetry: str, seed: int, samples: int) -> dict[str, Any]:
    return {
        "model": [model, seed, samples], "dataset": {"digest": "d"}, "symmetry": {"group": symmetry}, "limit": None,
        "seed": 0, "scores": "probabilities", "numerics": {"device": "cpu", "dtype": "float32"},
        "versions": {"evaluate": 2, "order": 1},
    }  # fmt: skip


def _cell(
    store: Store,
    identity: dict[str, Any],
    elements: Elements,
    samples: int,
    strength: float,
    generator: np.random.Generator,
) -> None:
    k = len(elements)
    size = np.array([e.size for e in elements]) / max(e.size for e in elements)
    target = np.tile(generator.integers(0, 10, samples), (k, 1))
    difficulty = generator.uniform(0.02, 1.2, samples)
    right = difficulty[None, :] > strength * size[:, None] + 0.05 * generator.uniform(size=(k, samples))
    prediction = np.where(right, target, (target + 1) % 10)
    deviation = np.where(np.arange(k)[:, None] > 0, 0.9 * strength * size[:, None] + 0.02, 0.0) * difficulty / 1.2
    columns = _columns(samples, k, target, prediction, deviation, generator)
    key = content_key(identity)
    folder = store.cell_folder(key)
    columns |= {name: np.full(k * samples, None) for name in OBSERVATIONS.names if name not in columns}
    path = write_part(folder, 0, samples - 1, columns)
    outputs = {"logits": {
        "field": "Scalar", "task": "classification", "labelled": True, "measured_on": "probabilities",
        "unit": "probability", "mean_square": 1.0, "null_limit_sq": 1e-12,
    }}  # fmt: skip
    unmoved = {name: values[:samples] for name, values in columns.items()}
    record = CellRecord(
        key=key, identity=identity, samples=samples, outputs=outputs, size_unit="degrees" if "angle_deg" in elements[0].parameters else "px",
        family="plane" if "angle_deg" in elements[0].parameters else "translations",
        elements_how="design", elements=elements,
        parts=[PartRecord(file=path.name, first=0, last=samples - 1, sha256=sha256_file(path))],
        samples_file=write_samples(folder, [{
            "output": np.full(samples, "logits"), "sample": np.arange(samples), "averaged_prediction": prediction[0],
            "loss_of_average": np.full(samples, 0.5), "orbit_variance": np.full(samples, None),
            "consensus_agreement": np.full(samples, None),
        }]),
        controls_file=write_controls(folder, _controls(unmoved, columns, samples, elements)),
        controls={}, facts={"parameters": 1e4 * (2 - strength), "flops": 1e6 * (1.5 - strength), "seconds_per_sample": 1e-4 * (1.2 - strength), "training_seconds": 12.0},
        checkpoint=None, environment=ENVIRONMENT,
    )  # fmt: skip
    store.write_cell(record)


def _columns(
    samples: int, k: int, target: Array, prediction: Array, deviation: Array, generator: np.random.Generator
) -> dict[str, Any]:
    confidence = generator.uniform(0.5, 1.0, (k, samples))
    unrelated = np.where(np.arange(k)[:, None] > 0, generator.uniform(0.9, 1.1, (k, samples)), np.nan)
    return {
        "control": np.full(k * samples, None), "output": np.full(k * samples, "logits"),
        "sample": np.tile(np.arange(samples), k), "element": np.repeat(np.arange(k), samples),
        "prediction": prediction.ravel(), "target": target.ravel(), "correct": (prediction == target).ravel(),
        "valid": np.ones(k * samples, bool), "loss": generator.exponential(1.0, k * samples),
        "score": confidence.ravel(), "confidence": confidence.ravel(), "target_probability": confidence.ravel(),
        "deviation_sq": deviation.ravel(), "unrelated_sq": unrelated.ravel(),
    }  # fmt: skip


def _controls(unmoved: dict[str, Any], columns: dict[str, Any], samples: int, elements: Elements) -> dict[str, Any]:
    """Repeating changes nothing; where elements are resampled, E is split on the first of them. Of some samples."""
    few = min(samples, MOST_CONTROLS)
    unmoved = {name: values[:few] for name, values in unmoved.items()}
    tables = [{**unmoved, "control": np.full(few, name)} for name in ("repeat", "re-batch", "precision")]
    if elements[1].kind == "resampled":
        first = {name: values[samples : samples + few] for name, values in columns.items()}
        for name, factor in (
            ("total", 1.0),
            ("reference", 0.6),
            ("remainder", 0.1),
            ("two routes", 1e-5),
            ("round trip", 0.0),
        ):
            moved = {"control": np.full(few, name), "deviation_sq": factor * first["deviation_sq"] + 1e-9}
            tables.append({**first, **moved})
    return {name: np.concatenate([table[name] for table in tables]) for name in unmoved}


def _pictures(store: Store, key: str, elements: Elements, count: int, names: Sequence[str], side: int) -> None:
    if not count:
        return
    classes = [names[i % len(names)] for i in range(count)]
    record = store.cell(key)
    assert record is not None
    file = write_gallery(store.cell_folder(key), {
        **{name: [None] * count for name in GALLERY.names},
        "rank": list(range(count)), "sample": [7 * i for i in range(count)],
        "element": [elements[-1 - i % (len(elements) - 1)].label for i in range(count)], "target": classes,
        "before": classes, "after": [*classes[1:], names[-1]], "confidence_before": [0.98] * count,
        "confidence_after": [0.71] * count, "deviation": [1.0 - 0.1 * i for i in range(count)],
        "image_before": [picture(i, side) for i in range(count)], "image_after": [picture(90 + i, side) for i in range(count)],
    })  # fmt: skip
    store.write_cell(record.model_copy(update={"gallery_file": file}))


def many(frame: pd.DataFrame, manifest: Manifest, models: int) -> tuple[pd.DataFrame, Manifest]:
    """A run as of many models: the first ones' estimates again and again, a little worse each time."""
    first = list(dict.fromkeys(cell.model for cell in manifest.cells))
    frames, cells = [], []
    for number in range(models):
        model, name = first[number % len(first)], f"model-{number:02d}-of-{first[number % len(first)]}"
        mine, worse = frame[frame["model"] == model], 1 - 0.3 * number / models
        share = mine["unit"] == "share"
        scaled = {c: mine[c].where(~share, mine[c] * worse) for c in ("estimate", "low", "high")}
        frames.append(mine.assign(model=name, **scaled))
        cells += [cell.model_copy(update={"model": name}) for cell in manifest.cells if cell.model == model]
    suite = {**manifest.suite, "models": {cell.model: {"use": "cnn"} for cell in cells}}
    return pd.concat(frames, ignore_index=True), manifest.model_copy(update={"cells": cells, "suite": suite})


def gate(reason: str = "0.412 is below 0.9") -> GateRecord:
    """What a gate decided: one rule passed, one failed."""
    place: dict[str, Any] = {"dataset": "stripes", "symmetry": "rotations", "metric": "orbit_accuracy"}
    rules = [
        MatchRecord(
            rule=i, name="orbit_accuracy at least 0.9", where="made.yaml:12", model=model, verdict=verdict, reason=why,
            estimate=estimate, kind="at_least", limit=0.9, **place,
        )
        for i, (model, verdict, why, estimate) in enumerate(
            [("plain", "fail", reason, 0.412), ("robust", "pass", "0.983 is at least 0.9", 0.983)]
        )
    ]  # fmt: skip
    return GateRecord(
        run="made-20260101T000000Z-0000", suite="made.yaml", baseline=None, verdict="fail", exit_code=1, rules=rules
    )
