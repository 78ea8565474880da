"""Suites of detectors: what an exact one, a constant one and one that finds nothing come to, by hand."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, Case, CaseOf
from torchmetrics.detection import MeanAveragePrecision

from symbench.algebra.metrics.detection import RECALLS
from symbench.algebra.objects import THRESHOLDS, apart
from symbench.base.records import CellRecord
from symbench.domains.images import notations
from symbench.fields import Boxes, Keypoints
from symbench.measure.store import Store
from symbench.measure.tasks import Open, Unfit, Views
from symbench.measure.tasks.base import Task
from symbench.read.report import headlines, tables

ROWS = [[1.0, 1, 4, 3, 0.9, 0], [2, 2, 6, 7, 0.3, 1], [0, 0, 0, 0, 0, -1]]


def task(threshold: float = 0.5) -> Task:
    return Open("boxes", Boxes(threshold=threshold), "boxes", Boxes()).of((3, 6))


# The task.


def test_outputs_are_compared_from_the_threshold_on() -> None:
    rows = torch.tensor([ROWS])
    assert task().compared(rows)[0, :, 5].tolist() == [0, -1, -1]
    assert task(0.3).compared(rows.double())[0, :, 5].tolist() == [0, 1, -1]
    assert task().compared(rows).dtype == torch.float64


@pytest.mark.parametrize(
    ("rows", "threshold", "said"),
    [
        (
            [[0.0, 0, 0, 0, 0, -1]],
            0.5,
            "finds no objects in any sample as it is: that it stays the same says nothing",
        ),
        (ROWS, 0.95, "nothing that is scored 0.95 or more, its threshold (the most is 0.9) in any sample as it is"),
        (ROWS, 0.85, None),
    ],
)
def test_a_detector_that_finds_nothing_is_not_praised(
    rows: list[list[float]], threshold: float, said: str | None
) -> None:
    settled = task(threshold).settled([torch.tensor([rows]).double()] * 2, 1e-7)
    remark = settled.remark()
    assert remark is None if said is None else remark is not None and said in remark


@pytest.mark.parametrize(
    ("found", "there", "names", "said"),
    [
        ([3, 4], [0, 1], 0, "none of its classes (3, 4) is one of the data's: the data's are 0 to 1; outputs: "),
        ([1, 2], [0, 1], 2, "it finds objects of class 2, which the data has not: the data's are 0 to 1; outputs: "),
        ([1, 2], [0, 1], 0, None),  # the third class may be rare
        ([1], [0], 2, None),
        ([], [0], 2, None),
    ],
)
def test_classes_that_the_data_has_not_are_named(
    found: list[int], there: list[int], names: int, said: str | None
) -> None:
    rows, wanted = (torch.tensor([[[1.0, 1, 4, 3, 0.9, label] for label in [*some, -1]]]) for some in (found, there))
    strange = task().settled([rows.double()], 1e-7).strange(wanted, range(names))
    assert strange is None if said is None else strange is not None and strange.startswith(said)


def test_columns_hold_all_detections_and_which_overlaps_are_right() -> None:
    rows = torch.tensor([[ROWS]])  # (1, 1, 3, 6)
    wanted = torch.tensor([[[[1.0, 1, 4, 3, 1, 0], [2, 2, 6, 6, 1, 1]]]])
    columns = task().columns(Views(rows, rows[0], wanted))
    assert columns["object_scores"][0, 0].tolist() == pytest.approx([0.9, 0.3, 0])
    assert columns["object_classes"][0, 0].tolist() == [0, 1, -1]
    assert columns["object_targets"][0, 0].tolist() == [0, 1]
    assert columns["object_hits"][0, 0].tolist() == [1023, 0b1111111, 0], "16 / 20 is right up to 0.80"
    unlabelled = task().columns(Views(rows, rows[0]))
    assert set(unlabelled) == {"object_scores", "object_classes"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [[3, 1, 1, 4, 0.9, 0]],
            "has a box (3, 1, 1, 4) whose right or bottom edge comes before its left or top one",
        ),
        ([[0.1, 0.1, 0.5, 1, 0.9, 0]], "has edges of boxes in [0, 1] alone, as parts of an image have"),
    ],
)
def test_boxes_told_in_another_way_are_refused(rows: list[list[float]], said: str) -> None:
    with pytest.raises(Unfit) as caught:
        task().settled([torch.tensor([rows]).double()], 1e-7)
    assert said in caught.value.got
    assert caught.value.remedy


def test_targets_inside_out_are_refused() -> None:
    with pytest.raises(Unfit, match="target 'boxes' has a box"):
        task().check_target((3, 6), torch.tensor([[[3.0, 1, 1, 4, 1, 0]]]))
    with pytest.raises(Unfit, match=r"target 'boxes' has shape \(n, 4\)"):
        task().check_target((3, 6), torch.zeros(2, 4))


def test_a_detector_has_no_loss() -> None:
    with pytest.raises(Unfit, match="which have no loss here") as caught:
        task().loss(torch.zeros(1, 3, 6), torch.zeros(1, 3, 6))
    assert caught.value.expected == "a detector that comes trained"


def test_training_a_detector_is_refused_before_it_is_run(case: CaseOf) -> None:
    boxes = case("boxes")
    boxes.suite.write_text(
        (boxes.path / "rcnn.yaml").read_text().replace('build"}', 'build", train: {on: squares, epochs: 1}}')
    )
    ran = boxes.run()
    assert ran.code == 3
    said = "rcnn: target 'boxes' is of sets of objects, from which nothing is learnt here, expected a detector that comes"
    assert said in ran.err
    assert "Leave train: out of its entry" in ran.err


def test_objects_are_counted_in_words() -> None:
    rows = torch.tensor(ROWS)
    assert task().shown(rows, {}) == ("1 object", None)
    assert task(0).shown(rows, {}) == ("2 objects", None)
    assert task(0).shown(rows, {0: "cat", 1: "dog"}) == ("1 cat, 1 dog", None)
    assert task().shown_target(rows[2:], {0: "cat"}) == "no objects"


# Suites.


TURNS = "symmetries:\n  turns: {group: D4, on: image}\n"
FOLDER = ROOT / "tests" / "cases" / "boxes"


def module_of(file: str) -> Any:
    path = FOLDER / file
    spec = importlib.util.spec_from_file_location(f"cases.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def records(results: Path) -> dict[tuple[str, str], CellRecord]:
    """The cells of the newest run by model and symmetry."""
    manifest = json.loads(max((results / "runs").glob("*.json")).read_text())
    names = {cell["key"]: (cell["model"], cell["symmetry"]) for cell in manifest["cells"]}
    paths = (results / "cells").rglob("cell.json")
    found = [CellRecord.model_validate_json(path.read_bytes()) for path in paths]
    return {names[each.key]: each for each in found if each.key in names}


def observed(case: Case, model: str, symmetry: str) -> pd.DataFrame:
    return Store(case.results).observations(records(case.results)[model, symmetry].key).to_pandas()


def turned(rows: np.ndarray, turns: int, flip: bool, side: int = 16) -> np.ndarray:
    """Boxes of an image that is mirrored from left to right, then turned by quarters against the clock."""
    found = rows.copy()
    left, top, right, bottom = found[:, :4].T.copy()
    if flip:
        left, right = side - right, side - left
    for _ in range(turns):
        left, top, right, bottom = top, side - right, bottom, side - left
    found[:, :4] = np.stack([left, top, right, bottom], 1)
    return found


def test_a_suite_of_detectors_by_hand(case: CaseOf) -> None:  # one run for all that can be known of it
    boxes = case("boxes")
    ran = boxes.run()
    assert ran.code == 0, ran.err
    for symmetry in ("turns", "shifts"):
        assert boxes.estimate("equivariance_error", model="exact", symmetry=symmetry) == 0
        assert boxes.estimate("absolute_error", model="exact", symmetry=symmetry) == 0
        # what it says of one sample it says of all: another sample's is as near as its own
        assert boxes.estimate("equivariance_error", model="constant", symmetry=symmetry) == pytest.approx(1)
    assert "exact: exact in float64" in ran.out
    assert "constant: broken: it moves as if it were left alone" in ran.out

    exact = observed(boxes, "exact", "turns")
    assert (exact["objects_kept"] == 1).all()
    targets = module_of("squares.py").load().batch(range(12)).targets["boxes"].numpy()
    for row in exact.to_dict(orient="records"):
        classes = targets[row["sample"]][:, 5]
        assert sorted(row["object_targets"]) == sorted(classes)
        there = np.array(row["object_classes"]) >= 0
        assert there.sum() == (classes >= 0).sum()
        assert (np.array(row["object_hits"])[there] == 1023).all()
        assert (np.array(row["object_hits"])[~there] == 0).all()

    constant = observed(boxes, "constant", "turns")
    said = np.array([[0, 0, 8, 8, 0.9, 0], [0, 0, 16, 16, 0.9, 1]])
    ways = [turned(said, turns, flip) for flip in (False, True) for turns in range(4)]
    wanted = sorted(apart(said, way, 2) for way in ways[1:])
    each = constant[constant["element"] > 0].groupby("element")
    assert sorted(each["deviation_sq"].mean()) == pytest.approx(wanted)
    assert sorted(each["unrelated_sq"].mean()) == pytest.approx(wanted)
    assert sorted(each["objects_kept"].mean()) == pytest.approx(sorted(1 - apart(said, way) for way in ways[1:]))

    frame = boxes.frame()
    nothing = frame[
        (frame["metric"] == "equivariance_error") & (frame["model"] == "nothing") & frame["element"].isna()
    ]
    assert set(nothing["status"]) == {"undefined"}
    assert all(nothing["reason"])
    sentences = headlines.of([], frame, tables.boards(frame), [], None)
    assert (
        "Finds no objects as samples are, so that staying the same says nothing: nothing under turns and shifts.",
        "bad",
    ) in sentences

    for (model, symmetry), cell in records(boxes.results).items():
        floors = ("repeat", "re-batch", "precision")
        assert [cell.controls[name] for name in floors] == [None] * 3
        assert [each.words for each in cell.findings if each.words and model == "exact"] == []
        rows = Store(boxes.results).controls(cell.key).to_pandas()
        assert (rows[rows["control"].isin(floors)]["deviation_sq"] == 0).all(), (model, symmetry)
        if model == "constant" and symmetry == "turns":
            assert "in units of a frame" in (cell.controls["geometry"] or "")


def test_elements_of_each_sample_that_lose_objects_are_refused(case: CaseOf) -> None:
    """An exact detector would be off by what was cut off at the edge of each sample's own frame."""
    boxes = case("boxes")
    boxes.edit("reach: 1, border: zero}", "reach: 3, border: zero, draw: per-sample, elements: 2}")
    boxes.edit("group: D4, on: image", "group: D4, on: image, draw: per-sample, elements: 2")
    found = boxes.run("--only", "model=exact")
    assert found.code == 3
    assert "lose other ones, expected elements that all samples share" in " ".join(found.err.split())
    assert boxes.estimate("equivariance_error", symmetry="turns") == 0
    assert boxes.estimate("detection_agreement", symmetry="turns") == 1


def test_a_detector_of_torchvision_in_words(case: CaseOf) -> None:
    boxes = case("boxes")
    ran = boxes.symbench("run", boxes.path / "rcnn.yaml", "--results", boxes.results)
    assert ran.code == 0, ran.err
    assert "is taken for" not in ran.err, "that it returns boxes is known of its kind"
    assert "rcnn: broken at any precision" in ran.out
    assert "FLOPs without torchvision::nms, torchvision::roi_align, which torch cannot count" in ran.out
    ((names, cell),) = records(boxes.results).items()
    assert names == ("rcnn", "turns")
    described = cell.outputs["boxes"]
    assert described["measured_on"] == "sets of objects scored 0.5 or more"
    rows = observed(boxes, "rcnn", "turns")
    classes = np.stack(rows["object_classes"].tolist())
    assert classes.shape == (8 * 8, 100)
    assert set(np.unique(classes)) <= {-1, 0, 1}, "its labels are 1 and 2, and 0 is the background"
    assert (classes >= 0).any()
    assert boxes.estimate("equivariance_error", model="rcnn") > 0
    assert (rows[rows["element"] == 0]["objects_kept"] == 1).all()
    reported = boxes.symbench("report", "--results", boxes.results)
    assert reported.code == 0, reported.err


WRONG = {
    ("yx", "turns"): "broken: it moves as boxes with y before x, (top, left, bottom, right)",
    ("up", "turns"): "broken: it moves as boxes whose y goes up from the lower edge",
    ("up", "quarters"): "broken: it moves as if by the inverse element",
    ("points-yx", "turns"): "broken: it moves as points with y before x",
    ("points-up", "turns"): "broken: it moves as points whose y goes up from the lower edge",
    ("points-up", "quarters"): "broken: it moves as if by the inverse element",
    ("points-parts", "turns"): "broken: it moves as points in parts of the image's sides, and not in pixels",
    ("points-centre", "turns"): "broken: it moves as points half a pixel beside: say origin: centre for corner",
    ("sides", "mirror"): "broken: it moves as declared, but with rows exchanged: 0 to 1 to 0 at flip",
    ("shades-paired", "mirror"): "broken: it moves as declared, but with rows exchanged: 0 to 1 to 0 at flip",
    ("xywh", "turns"): "xywh: sample 1: a box (10, 12, 4, 3) has its right or bottom edge before its left or top one, "
    "expected left, top, right, bottom; of left, top, width, height add left and top",
    ("parts", "turns"): "has edges of boxes in [0, 1] alone, as parts of an image have, expected edges from 0 to the",
    ("nans", "turns"): "output 'boxes' is NaN or infinite for 11 of 12 inputs, expected finite numbers",
    ("points-as-boxes", "turns"): "is taken for boxes and has shape (n, 2, 2), expected boxes have 6 numbers each",
    ("boxes-as-points", "turns"): "returned detections of each image, and declares Keypoints, expected boxes. Say "
    "outputs: {boxes: boxes} in the model's entry.",
}  # fmt: skip


def test_wrong_declarations_are_caught_and_named(case: CaseOf) -> None:
    boxes = case("boxes")
    ran = boxes.symbench("run", boxes.path / "wrong.yaml", "--results", boxes.results)
    assert ran.code == 3, "some cells have no numbers"
    said = ran.out + ran.err
    for (model, _), words in WRONG.items():
        assert f"{model}: {words}" in said or words in said, (model, words)
    for right in ("points", "sides-paired", "shades"):
        assert f"\n{right}: broken" not in ran.out, "what is declared as it is moves as it is declared"
    cells = records(boxes.results)
    found = {names: [each.words for each in cell.findings if each.words] for names, cell in cells.items()}
    assert not found["points", "turns"]
    for names, words in WRONG.items():
        if names in found:
            assert any(
                (each or "") in words or words.removeprefix("broken: ") in (each or "") for each in found[names]
            )


@pytest.mark.parametrize("name", ["y_first", "y_up", "sized"])
def test_notations_of_boxes_are_read(name: str) -> None:
    rows = torch.tensor([[1.0, 2, 4, 7, 0.9, 1], [0, 0, 0, 0, 0, -1]]).double()
    written = {"y_first": [2.0, 1, 7, 4], "y_up": [1.0, 3, 4, 8], "sized": [1.0, 2, 3, 5]}[name]
    told = rows.clone()
    told[0, :4] = torch.tensor(written)
    assert torch.equal(getattr(notations, f"boxes_{name}")(told, Boxes(frame=(10, 12))), rows)


@pytest.mark.parametrize("origin", ["corner", "centre"])
def test_notations_of_points_are_read(origin: Any) -> None:
    """In either convention: the pixels' middles are at 0.5, 1.5, ... or at 0, 1, ..."""
    first = 0.5 if origin == "corner" else 0.0
    value, pixel = Keypoints(frame=(10, 12), origin=origin), torch.tensor([[3 + first, 2 + first, 1]]).double()
    extent = torch.tensor([12.0, 10.0]) if origin == "corner" else torch.tensor([11.0, 9.0])
    parts = torch.cat([pixel[:, :2] / extent, pixel[:, 2:]], -1)
    assert torch.allclose(notations.points_in_parts(parts, value), pixel)
    assert torch.equal(notations.points_y_first(torch.tensor([[2 + first, 3 + first, 1]]).double(), value), pixel)
    assert torch.equal(notations.points_y_up(torch.tensor([[3 + first, 7 + first, 1]]).double(), value), pixel)
    other = torch.tensor([[3 + 0.5 - first, 2 + 0.5 - first, 1]]).double()
    assert torch.equal(notations.points_of_the_other_origin(other, value), pixel)


def test_average_precision_of_each_element_is_that_of_torchmetrics_on_moved_targets(
    case: CaseOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    boxes = case("boxes")
    text = boxes.suite.read_text()
    boxes.suite.write_text(
        f"{text[: text.index('models:')]}models:\n  shaken: {{use: 'detectors.py:Shaken'}}\n{TURNS}"
    )
    assert boxes.run().code == 0
    frame = boxes.frame()
    each = frame[(frame["metric"] == "average_precision") & frame["element"].notna()]
    mine = dict(zip(each["element"], each["estimate"], strict=True))
    assert len(mine) == 8

    batch, model = module_of("squares.py").load().batch(range(12)), module_of("detectors.py").Shaken()
    images, targets = batch.leaves["image"], batch.targets["boxes"].numpy()
    theirs = {}
    for flip in (False, True):
        for turns in range(4):
            moved = [turned(rows[rows[:, 5] >= 0], turns, flip) for rows in targets]
            steps = {"iou_thresholds": THRESHOLDS.tolist(), "rec_thresholds": RECALLS.tolist()}
            metric = MeanAveragePrecision(iou_type="bbox", **steps)  # COCO's own; by default they are in float32
            metric.update(
                model(torch.rot90(images.flip(-1) if flip else images, turns, (2, 3))),
                [{"boxes": torch.tensor(rows[:, :4]), "labels": torch.tensor(rows[:, 5]).long()} for rows in moved],
            )
            name = f"{90 * turns}°" if not flip else "flip" if not turns else f"flip+{90 * turns}°"
            theirs[name] = float(metric.compute()["map"])
    assert len({round(value, 3) for value in theirs.values()}) > 4
    assert mine == pytest.approx(theirs, abs=1e-6)
