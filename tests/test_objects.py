"""Sets of boxes: overlaps, COCO's matching and the cost of a set, against other people's code and a loop."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from itertools import permutations

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO  # type: ignore[import-untyped]
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]
from torchvision.ops import box_iou

from symbench.algebra.objects import NONE, THRESHOLDS, Sets, apart, are_objects, hits, objects_only, overlaps

EMPTY = np.array([NONE, NONE])


def some_boxes(count: int, seed: int, classes: int = 2) -> np.ndarray:
    """Boxes in an image of 32 pixels, with scores in tenths so that some are tied; every sixth row is no object."""
    drawn = np.random.default_rng(seed)
    corner, size = drawn.uniform(0, 24, (count, 2)), drawn.uniform(2, 12, (count, 2))
    score, kind = drawn.integers(0, 10, (count, 1)) / 10, drawn.integers(0, classes, (count, 1))
    rows = np.concatenate([corner, corner + size, score, kind], 1)
    rows[::6] = NONE
    return rows


def shaken(rows: np.ndarray, seed: int) -> np.ndarray:
    """The same boxes a little beside themselves, each twice, so that some compete for one object."""
    twice = np.concatenate([rows, rows])
    off = np.random.default_rng(seed).normal(0, 0.6, (len(twice), 4))
    return np.concatenate([twice[:, :4] + np.where(twice[:, 5:] >= 0, off, 0), twice[:, 4:]], 1)


def coco_matches(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which detections pycocotools has as matched, ``(10, m)``."""
    wanted_at, found_at = (np.flatnonzero(rows[:, 5] >= 0) for rows in (wanted, found))
    truth, result = COCO(), COCO()

    def noted(rows: np.ndarray, at: np.ndarray) -> list[dict[str, object]]:
        return [
            {"id": int(i) + 1, "image_id": 1, "category_id": int(rows[i, 5]) + 1, "score": float(rows[i, 4]),
             "bbox": [*rows[i, :2], *(rows[i, 2:4] - rows[i, :2])], "iscrowd": 0, "ignore": 0,
             "area": float(np.prod(rows[i, 2:4] - rows[i, :2]))}
            for i in at
        ]  # fmt: skip

    for coco, rows, at in ((truth, wanted, wanted_at), (result, found, found_at)):
        coco.dataset = {"images": [{"id": 1}], "categories": [{"id": 1}, {"id": 2}], "annotations": noted(rows, at)}
    with redirect_stdout(io.StringIO()):
        truth.createIndex()
        result.createIndex()
        evaluation = COCOeval(truth, result, "bbox")
        evaluation.evaluate()
    matched = np.zeros((10, len(found)), dtype=bool)
    for image in evaluation.evalImgs:
        if image is not None and image["aRng"] == evaluation.params.areaRng[0]:
            matched[:, np.array(image["dtIds"], dtype=int) - 1] |= image["dtMatches"] > 0
    return matched


@pytest.mark.parametrize("seed", range(12))
def test_right_detections_are_those_of_pycocotools(seed: int) -> None:
    wanted = some_boxes(9, seed)
    found = shaken(wanted, seed + 100)
    right = hits(found, wanted)
    assert right.any()
    assert not right.all()
    assert (right == coco_matches(found, wanted)).all()


def test_each_object_is_taken_once_by_the_best_score_and_the_first_of_ties() -> None:
    wanted = np.array([[0, 0, 10, 10, 1, 0.0]])
    found = np.array([[0, 0, 10, 9, 0.5, 0], [0, 0, 10, 10, 0.5, 0], [0, 0, 10, 10, 0.9, 1.0]])
    assert hits(found, wanted).sum(0).tolist() == [9, 1, 0], (
        "0.9 overlaps up to 0.90; only 0.95 is left to the second"
    )
    assert not hits(EMPTY, wanted).any()
    assert not hits(found, EMPTY).any()


def test_an_overlap_of_exactly_a_threshold_is_right() -> None:
    wanted = np.array([[0, 0, 10, 10, 1, 0.0]])
    found = np.array([[0, 0, 10, 5, 1, 0.0]])
    assert hits(found, wanted)[:, 0].tolist() == [True] + 9 * [False]
    assert THRESHOLDS.tolist() == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])


def test_overlaps_are_those_of_torchvision() -> None:
    a, b = some_boxes(20, 0)[1::6], some_boxes(20, 1)[2::6]
    theirs = box_iou(torch.from_numpy(a[:, :4]), torch.from_numpy(b[:, :4])).numpy()
    assert overlaps(a, b) == pytest.approx(theirs, abs=1e-14)


def by_trying(some: np.ndarray, others: np.ndarray, order: int) -> float:
    """The least cost over all ways to match the fewer to the more."""
    a, b = sorted((rows[rows[:, 5] >= 0] for rows in (some, others)), key=len)
    if not len(b):
        return 0.0

    def cost(chosen: tuple[int, ...]) -> float:
        pairs = zip(a, b[list(chosen)], strict=True)
        matched = [1 - overlaps(x[None], y[None])[0, 0] if x[5] == y[5] else 1.0 for x, y in pairs]
        return sum(each**order for each in matched) + len(b) - len(a)

    return min(cost(chosen) for chosen in permutations(range(len(b)), len(a))) / len(b)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_the_cost_of_sets_is_the_least_over_all_matchings(seed: int, order: int) -> None:
    some, others = some_boxes(4, seed), shaken(some_boxes(4, seed), seed)[1:6]
    assert apart(some, others, order) == pytest.approx(by_trying(some, others, order), abs=1e-12)
    assert 0 < apart(some, others, order) <= 1


def test_sets_are_apart_as_in_a_metric() -> None:
    drawn = [some_boxes(5, seed) for seed in range(6)]
    for order in (1, 2):
        far = np.array([[apart(a, b, order) ** (1 / order) for b in drawn] for a in drawn])
        assert (np.diag(far) == 0).all()
        assert far == pytest.approx(far.T)
        assert (far[:, None, :] <= far[:, :, None] + far[None, :, :] + 1e-12).all()


def test_the_cost_by_hand() -> None:
    one = np.array([[0, 0, 10, 10, 1, 0], [20, 20, 30, 30, 1, 1.0]])
    half = np.array([[0, 0, 10, 5, 1, 0.0]])
    assert apart(one, half) == pytest.approx((0.5 + 1) / 2)
    assert apart(one, half, 2) == pytest.approx((0.25 + 1) / 2)
    assert apart(one, one[::-1]) == 0.0
    assert apart(one, EMPTY) == 1.0
    assert apart(EMPTY, EMPTY[:1]) == 0.0
    other_class = one[:1] + np.array([0, 0, 0, 0, 0, 1.0])
    assert apart(one[:1], other_class) == 1.0


def test_rounding_stays_rounding() -> None:
    rows = some_boxes(8, 3)
    near = rows + np.where(rows[:, 5:] >= 0, np.array([[1e-12, 1e-12, -1e-12, 0, 0, 0]]), 0)
    assert 0 < apart(rows, near, 2) ** 0.5 < 1e-11


def test_rows_without_an_area_or_a_class_are_no_objects() -> None:
    rows = torch.tensor([[0, 0, 2, 2, 0.9, 0], [1, 1, 1, 5, 0.9, 0], [0, 0, 2, 2, 0.9, -1]])
    there = are_objects(rows)
    assert there.tolist() == [True, False, False]
    assert objects_only(rows, there)[1:].tolist() == [list(NONE), list(NONE)]


def test_neighbours_are_those_before_and_behind() -> None:
    sets = torch.from_numpy(np.stack([some_boxes(5, seed) for seed in range(4)]))[None]
    moved = torch.from_numpy(np.stack([some_boxes(5, seed + 10) for seed in range(4)]))[None]
    found = Sets().among(moved, sets, range(4))[0]
    for i in range(4):
        pair = [apart(moved[0, i].numpy(), sets[0, j % 4].numpy(), 2) for j in (i - 1, i + 1)]
        assert float(found[i]) == pytest.approx(sum(pair) / 2)
    assert Sets().among(moved[:, :1], sets[:, :1], [0]).isnan().all()
    assert Sets().null(sets[0]) == pytest.approx(float(Sets().among(sets, sets, range(4)).mean()))


def test_what_is_not_finite_has_no_distance() -> None:
    rows = torch.from_numpy(some_boxes(3, 0))[None, None]
    broken = rows.clone()
    broken[0, 0, 1, 2] = torch.nan
    assert Sets().deviation(broken, rows, [0]).isnan().all()
    assert Sets().deviation(rows, broken, [0]).isnan().all()
