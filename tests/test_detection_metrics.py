"""Average precision against torchmetrics, and its intervals against leaving samples out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_metrics import observed
from torchmetrics.detection import MeanAveragePrecision

from symbench.algebra.metrics import METRICS
from symbench.algebra.metrics import detection as metrics
from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.metrics.folds import Found
from symbench.algebra.objects import hits
from symbench.algebra.statistics import Array

K, MOST, OBJECTS, CLASSES = 5, 9, 4, 3
RECALLS = np.linspace(0.0, 1.0, 101).tolist()
"""COCO's own; torchmetrics takes them in single precision unless it is told, and misses a recall of 0.07 by rounding."""
Rows = list[list[Array]]
SINGLE: dict[str, Any] = {"weights": np.ones(1), "labels": ["e"], "kinds": ["permutation"]}


def scenes(n: int, seed: int = 0, decimals: int = 1) -> tuple[Rows, Rows]:
    """Detections and objects, ``[k][n]`` of rows of boxes: noisy copies, false alarms, ties, and some of neither."""
    rng = np.random.default_rng(seed)
    found: Rows = []
    wanted: Rows = [[] for _ in range(K + 1)]
    for _ in range(n):
        count = rng.integers(OBJECTS + 1)
        corner, size = rng.uniform(0, 60, (count, 2)), rng.uniform(8, 30, (count, 2))
        classes = rng.integers(CLASSES, size=(count, 1)).astype(float)
        boxes = np.hstack([corner, corner + size, np.ones((count, 1)), classes])
        for k in range(K + 1):
            wanted[k].append(boxes)
    for k in range(K + 1):
        found.append([_seen(rng, boxes, 1 + k, decimals) for boxes in wanted[k]])
    return found, wanted


def _seen(rng: Any, boxes: Array, noise: float, decimals: int) -> Array:
    kept = boxes[rng.random(len(boxes)) < 0.8].copy()
    kept[:, :4] += rng.normal(0, noise, (len(kept), 4))
    kept[:, 2:4] = np.maximum(kept[:, 2:4], kept[:, :2] + 1)
    wrong = rng.random(len(kept)) < 0.1
    kept[wrong, 5] = (kept[wrong, 5] + 1) % CLASSES
    corner = rng.uniform(0, 60, (rng.integers(4), 2))
    alarms = np.hstack([corner, corner + 15, np.ones((len(corner), 1)), rng.integers(CLASSES, size=(len(corner), 1))])
    rows = np.vstack([kept, kept[:1], alarms])[rng.permutation(len(kept) + len(kept[:1]) + len(alarms))]
    rows[:, 4] = rng.random(len(rows)).round(decimals)
    return np.asarray(rows)


def told(found: Rows, wanted: Rows, **changes: Any) -> Observed:
    """Their observations."""
    k, n = len(found), len(found[0])
    scores, classes, right = np.zeros((k, n, MOST)), np.full((k, n, MOST), -1.0), np.zeros((k, n, MOST))
    there = np.full((k, n, OBJECTS), -1.0)
    for e in range(k):
        for i, (rows, objects) in enumerate(zip(found[e], wanted[e], strict=True)):
            m = len(rows)
            scores[e, i, :m], classes[e, i, :m] = rows[:, 4], rows[:, 5]
            right[e, i, :m] = 2.0 ** np.arange(10) @ hits(rows, objects)
            there[e, i, : len(objects)] = objects[:, 5]
    columns = {"object_scores": scores, "object_classes": classes, "object_hits": right, "object_targets": there}
    none = dict.fromkeys(("correct", "prediction", "target", "confidence", "averaged"))
    whole = {"deviation_sq": np.zeros((k, n)), "unrelated_sq": np.ones((k, n)), "task": "detection"}
    return observed(**{**whole, **none, **columns, **changes})


def coco(found: list[Array], wanted: list[Array]) -> tuple[float, float]:
    """AP and AP50 by torchmetrics."""
    ap = MeanAveragePrecision(rec_thresholds=RECALLS, backend="pycocotools")
    ap.warn_on_many_detections = False
    ap.update(*([_as_torch(rows, scored) for rows in side] for side, scored in ((found, True), (wanted, False))))
    whole = ap.compute()
    return float(whole["map"]), float(whole["map_50"])


def _as_torch(rows: Array, scored: bool) -> dict[str, torch.Tensor]:
    boxes, labels = torch.tensor(rows[:, :4]), torch.tensor(rows[:, 5], dtype=torch.int64)
    return {"boxes": boxes, "labels": labels, **({"scores": torch.tensor(rows[:, 4])} if scored else {})}


def values(name: str, seen: Observed) -> list[Value]:
    got: list[Value] = METRICS.find(name)[0].load()(seen)
    return got


def first(name: str, seen: Observed) -> float:
    estimate = values(name, seen)[0].estimate
    assert estimate is not None
    return estimate


@pytest.mark.parametrize("decimals", [1, 6], ids=["tied", "untied"])
@pytest.mark.parametrize("n", [1, 3, 25])
def test_average_precision_is_that_of_torchmetrics(n: int, decimals: int) -> None:
    found, wanted = scenes(n, n, decimals)
    seen = told(found, wanted)
    each = np.array([coco(found[k], wanted[k]) for k in range(K + 1)])
    assert first("average_precision", seen) == pytest.approx(each[0, 0], abs=1e-6)
    assert first("average_precision_50", seen) == pytest.approx(each[0, 1], abs=1e-6)
    at = [value for value in values("average_precision", seen) if value.element is not None]
    assert [value.element for value in at] == list(seen.labels)
    assert [value.estimate for value in at] == pytest.approx(each[:, 0].tolist(), abs=1e-6)
    assert first("orbit_average_precision", seen) == pytest.approx(seen.weights @ each[:, 0], abs=1e-6)
    assert first("orbit_average_precision_50", seen) == pytest.approx(seen.weights @ each[:, 1], abs=1e-6)
    assert first("worst_element_average_precision", seen) == pytest.approx(each[1:, 0].min(), abs=1e-6)


@pytest.mark.parametrize("case", ["nothing found", "some empty", "a class never found", "found where nothing is"])
def test_what_is_empty_counts_as_in_coco(case: str) -> None:
    found, wanted = scenes(6, 3)
    none = np.zeros((0, 6))
    if case == "nothing found":
        found = [[none] * 6 for _ in found]
    elif case == "some empty":
        found, wanted = ([[none, *side[1:]] for side in both] for both in (found, wanted))
    elif case == "a class never found":
        found = [[rows[rows[:, 5] != 1] for rows in side] for side in found]
    else:
        wanted = [[rows if i % 2 else none for i, rows in enumerate(side)] for side in wanted]
    seen = told(found, wanted)
    assert (first("average_precision", seen), first("average_precision_50", seen)) == pytest.approx(
        coco(found[0], wanted[0]), abs=1e-6
    )
    empty = told(found, [[none] * 6 for _ in wanted])
    for name in ("average_precision", "orbit_average_precision", "worst_element_average_precision"):
        assert values(name, empty)[0].reason == "no object is there"


def test_no_more_than_a_hundred_of_a_class_and_image_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = np.hstack([np.tile([0.0, 0.0, 9.0, 9.0], (130, 1)), rng.random((130, 1)), np.zeros((130, 1))])
    rows[rows[:, 4].argmin(), :4] = [50, 50, 60, 60]  # right, and beyond the hundredth
    objects = np.array([[50.0, 50, 60, 60, 1, 0], [0, 0, 9, 9, 1, 0]])
    monkeypatch.setattr("test_detection_metrics.MOST", 130)
    seen = told([[rows, objects]] * (K + 1), [[objects, objects]] * (K + 1))
    assert first("average_precision", seen) == pytest.approx(coco([rows, objects], [objects] * 2)[0], abs=1e-6)


def test_samples_that_do_not_count_are_left_out() -> None:
    found, wanted = scenes(12, 5)
    valid = np.random.default_rng(2).random((K + 1, 12)) < 0.6
    seen = told(found, wanted, valid=valid)
    each = [
        coco(*([rows for rows, kept in zip(side[k], valid[k], strict=True) if kept] for side in (found, wanted)))[0]
        for k in range(K + 1)
    ]
    assert first("orbit_average_precision", seen) == pytest.approx(seen.weights @ each, abs=1e-6)


def test_values_of_samples_are_what_leaving_them_out_moves() -> None:
    found, wanted = ([side[0]] for side in scenes(80, 7, 6))
    seen = told(found, wanted, **SINGLE)
    for name in ("average_precision", "average_precision_50"):
        sampled = values(name, seen)[0].sampled
        assert sampled is not None
        kept = [np.arange(80) != i for i in range(80)]
        without = np.array([first(name, replace(seen, **_some(seen, each))) for each in kept])
        jackknife = np.sqrt(79 / 80 * np.square(without - without.mean()).sum())
        assert np.sqrt(np.square(sampled.influence()).mean() / 80) == pytest.approx(jackknife, rel=0.1)


def _some(seen: Observed, kept: Array) -> dict[str, Any]:
    """The columns of some samples."""
    names = ("object_scores", "object_classes", "object_hits", "object_targets", "valid")
    columns = {name: getattr(seen, name)[:, kept] for name in names}
    return {**columns, "samples": seen.samples[kept]}


def test_pieces_are_joined_in_any_order() -> None:
    """A cell read a few samples at a time, out of order, is the cell read at once."""
    found, wanted = scenes(10, 9)
    order = np.random.default_rng(0).permutation(10)
    step, pieces = metrics.average_precision.steps[0], dict[str, Any]()
    for some in (order[:3], order[3:4], order[4:]):
        mine = told(*([[side[k][i] for i in some] for k in range(K + 1)] for side in (found, wanted)))
        taken = step(mine, {})
        assert not isinstance(taken, Value)
        for name, piece in taken.items():
            pieces[name].join(piece) if name in pieces else pieces.update({name: piece})
    joined: Found = {name: piece.whole(np.argsort(order)) for name, piece in pieces.items()}
    between = metrics.average_precision.between
    assert between is not None
    seen = told(found, wanted)
    whole = metrics.average_precision.values(seen, {**joined, **between(joined)})
    assert [value.estimate for value in whole] == [value.estimate for value in values("average_precision", seen)]


def test_intervals_hold_what_as_many_samples_come_to_on_average() -> None:
    """AP itself lies higher the fewer objects there are, for its precision is the largest at any recall beyond."""
    seen = told(*([side[0]] for side in scenes(5000, 1, 6)), **SINGLE)
    parts = [replace(seen, **_some(seen, np.arange(5000) // 50 == part)) for part in range(100)]
    every = [values("average_precision", part)[0] for part in parts]
    mean = float(np.mean([value.estimate for value in every]))
    assert mean > first("average_precision", seen) + 0.02
    intervals = [value.interval(seed=0) for value in every]
    limits = np.array([(each.low, each.high) for each in intervals if each is not None], dtype=float)
    assert ((limits[:, 0] <= mean) & (mean <= limits[:, 1])).sum() >= 90


def test_where_all_are_right_no_sample_moves_anything() -> None:
    """Rounding is no variation: three samples alone would have limits of nearly no width."""
    wanted = scenes(11, 3)[1]
    seen = told(wanted, wanted)
    for name in ("average_precision", "orbit_average_precision", "worst_element_average_precision"):
        (value, *_) = values(name, seen)
        assert value.estimate == pytest.approx(1.0, abs=1e-12)
        interval = value.interval(seed=0)
        assert interval is not None
        assert interval.low is None


def test_agreement_is_of_the_moved_samples() -> None:
    found, wanted = scenes(8, 4)
    kept = np.random.default_rng(0).random((K + 1, 8))
    seen = told(found, wanted, objects_kept=kept)
    assert first("detection_agreement", seen) == pytest.approx(kept[1:].mean())
    each = [value.estimate for value in values("detection_agreement", seen)[1:]]
    assert each == pytest.approx(kept[1:].mean(axis=1).tolist())
    assert values("detection_agreement", observed())[0].reason == "the output is of no objects"
    assert values("average_precision", observed())[0].reason == "the output is of no boxes with labels"
    assert values("average_precision", replace(seen, object_hits=None))[0].estimate is None
