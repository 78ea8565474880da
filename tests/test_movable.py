"""What is declared to move as no group can is refused before any work, with its line."""

from __future__ import annotations

import re

import pytest
import torch
from conftest import Case, CaseOf

from symbench.algebra.fields import (
    Boxes,
    Category,
    Classes,
    Field,
    Grid,
    Keypoints,
    Logits,
    Probabilities,
    Undeclared,
    classes,
)
from symbench.base.errors import ConfigError, ModelError
from symbench.domains.common.models.outputs import read
from symbench.face.api import Choices, prepare
from symbench.measure.tasks import Unfit, pair

SIDES = "flip: [0, 2, 1]"


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("flip: [1, 2, 0]", "Classes is no representation of D1: two ways to the element 0° differ"),
        ("mirror: [0, 2, 1]", "declared for the generators mirror (on plain under mirror), expected one matrix for each"),
        ("flip: [0, 2, 1], turn: [0, 1, 2]", "declared for the generators flip, turn"),
    ],
)  # fmt: skip
def test_an_order_that_is_none_of_the_group_is_refused_with_its_line(case: CaseOf, order: str, said: str) -> None:
    sides = case("sides")
    sides.edit(SIDES, order)
    for command in (["validate"], ["run", "--dry-run"]):
        ran = sides.symbench(*command, sides.suite)
        assert ran.code == 2
        assert "suite.yaml:6: models.net.outputs.masks: output 'masks'" in ran.err
        assert said in ran.err
        assert "scalar" not in ran.err


def test_an_order_of_other_classes_than_there_are_is_told(case: CaseOf) -> None:
    sides = case("sides")
    sides.edit(SIDES, "flip: [1, 0]")
    ran = sides.symbench("validate", sides.suite)
    assert ran.code == 3
    assert "scores of 3 classes, and order: {flip: [1, 0]}, expected an order of 3 classes" in ran.out


def nothing_broken(sides: Case) -> bool:
    """Whether there are cells, and none that is known to fail."""
    space, _ = prepare(sides.suite, Choices())
    cells = space.plan.cells
    return len(cells) > 0 and all(space.broken_reason(cell) is None and cell.unfit is None for cell in cells)


def test_what_is_right_passes(case: CaseOf) -> None:
    sides = case("sides")
    assert nothing_broken(sides)
    sides.edit("data.py:plain", "data.py:ordered")
    assert nothing_broken(sides)


def test_several_wrong_models_are_told_together_and_how_to_leave_them_out(case: CaseOf) -> None:
    sides = case("sides")
    sides.edit("symmetries:", '  other: {use: "model.py:maps", outputs: {masks: {value: classes, over: image, '
               "order: {turn: [0, 2, 1]}}}}\nsymmetries:\n  turns: {group: C4, on: image}")  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        prepare(sides.suite, Choices())
    first, second = map(str, caught.value.problems)
    assert "suite.yaml:6: models.net.outputs.masks" in first
    assert "(on plain under turns)" in first
    assert first.endswith("Say except: {symmetry: turns} in the model's entry to leave it out.")
    assert "suite.yaml:7: models.other.outputs.masks" in second
    assert "(on plain under mirror)" in second


@pytest.mark.parametrize(
    ("symmetry", "said"),
    [
        ("{group: SO2, on: image, elements: 3}", "boxes parallel to the axes are turned by quarters only"),
        ("{group: translations, on: image, border: circular, reach: 2}", "comes in on the other side is two"),
    ],
)
def test_boxes_that_cannot_move_are_refused(case: CaseOf, symmetry: str, said: str) -> None:
    sides = case("sides")
    sides.edit("data.py:plain", "data.py:objects")
    sides.edit("{group: D1, on: image}", symmetry)
    sides.edit('"model.py:maps", outputs: {masks: {value: classes, over: image, order: {flip: [0, 2, 1]}}}',
               '"model.py:box", outputs: {boxes: boxes}')  # fmt: skip
    with pytest.raises(ConfigError, match=f"suite.yaml:6: models.net.outputs.boxes: output 'boxes': .*{said}"):
        prepare(sides.suite, Choices())


def test_boxes_about_turned_ones_are_those_of_the_target_too(case: CaseOf) -> None:
    sides = case("sides")
    sides.edit("data.py:plain", "data.py:objects")
    sides.edit("D1, on: image", "SO2, on: image, elements: 3")
    sides.edit('"model.py:maps", outputs: {masks: {value: classes, over: image, order: {flip: [0, 2, 1]}}}',
               '"model.py:box", outputs: {boxes: {value: boxes, hull: true}}')  # fmt: skip
    assert nothing_broken(sides)


def test_two_orders_of_one_map_are_refused_with_both() -> None:
    mine, its = (classes({"flip": order}).over(Grid("image")) for order in ([0, 2, 1], [2, 1, 0]))
    shape = (3, 8, 8)
    (found,) = pair({"masks": mine}, {"masks": its}, scale="probabilities")
    with pytest.raises(Unfit) as caught:
        found.of(shape)
    assert "order: {flip: [0, 2, 1]}" in caught.value.got
    assert "its target 'masks', order: {flip: [2, 1, 0]}" in (caught.value.expected or "")
    (same,) = pair({"masks": mine}, {"masks": mine}, scale="probabilities")
    assert same.of(shape).field == mine


@pytest.mark.parametrize("target", [classes({"flip": [0, 2, 1]}), Category(3)], ids=str)
@pytest.mark.parametrize("output", [classes({"flip": [0, 2, 1]}), Logits()], ids=str)
def test_the_one_order_that_is_said_is_taken(output: Field, target: Field) -> None:
    (found,) = pair({"masks": output}, {"masks": target}, scale="probabilities")
    assert isinstance(found.of((3,)).field, Classes) == (Classes in {type(output), type(target)})


@pytest.mark.parametrize(
    ("output", "target", "pairs", "origin"),
    [
        (Keypoints(), Keypoints(((0, 1),), "centre"), ((0, 1),), "centre"),
        (Keypoints(((0, 1),)), Keypoints(), ((0, 1),), "corner"),
        (Keypoints(((1, 0),)), Keypoints(((0, 1),)), ((1, 0),), "corner"),
    ],
    ids=["of the target", "of the output", "the same"],
)
def test_joints_that_one_of_both_names_are_exchanged_in_both(
    output: Keypoints, target: Keypoints, pairs: tuple[tuple[int, int], ...], origin: str
) -> None:
    (found,) = pair({"joints": output}, {"joints": target}, scale="probabilities")
    task = found.of((2, 2))
    for field in (task.field, task.target_field):
        assert isinstance(field, Keypoints)
        assert {frozenset(each) for each in field.pairs} == {frozenset(each) for each in pairs}
        assert field.origin == origin


@pytest.mark.parametrize(
    ("output", "target"),
    [
        (Keypoints(((0, 1),)), Keypoints(((1, 2),))),
        (Keypoints((), "centre"), Keypoints()),
    ],
    ids=["pairs", "origin"],
)
def test_joints_that_both_name_otherwise_are_refused(output: Keypoints, target: Keypoints) -> None:
    (found,) = pair({"joints": output}, {"joints": target}, scale="probabilities")
    with pytest.raises(Unfit, match=re.escape(f"'joints' is declared with pairs: {[list(p) for p in output.pairs]}")):
        found.of((3, 2))


def test_advice_fits_what_is_declared() -> None:
    def unmoved(field: Field, shape: tuple[int, ...]) -> str | None:
        (found,) = pair({"out": field}, {}, scale="probabilities")
        return found.of(shape).unmoved

    assert unmoved(classes({"flip": [1, 0]}), (2,)) is None
    assert unmoved(Boxes(), (5, 6)) is None
    assert unmoved(Keypoints(), (5, 2)) is None
    assert "outputs: {out: scalar}" in (unmoved(Logits(), (5,)) or "")


@pytest.mark.parametrize("said", ["logits", "{value: classes}"])
def test_scores_of_whole_samples_against_maps_are_told_the_line_that_works(case: CaseOf, said: str) -> None:
    sides = case("sides")
    sides.edit("{value: classes, over: image, order: {flip: [0, 2, 1]}}", said)
    sides.edit(
        "symmetries:", '  right: {use: "model.py:maps", outputs: {masks: {value: classes, over: image}}}\nsymmetries:'
    )
    ran = sides.symbench("validate", sides.suite)
    assert ran.code == 3
    assert "net: output 'masks' is declared as scores of whole samples, and its target is a map" in ran.out
    assert "Say outputs: {masks: {value: classes, over: image}} in the model's entry." in ran.out
    assert "1 of 2 cells will fail" in ran.err


def test_maps_that_hold_no_probabilities_are_told_the_line_that_works() -> None:
    (found,) = pair({"masks": Probabilities().over(Grid("image"))}, {}, scale="probabilities")
    with pytest.raises(Unfit) as caught:
        found.of((3, 4, 4)).settled([torch.full((2, 3, 4, 4), 7.0)], 1e-7)
    assert "outputs: {masks: {value: classes, over: image}}" in (caught.value.remedy or "")


def test_an_order_of_labels_that_is_not_the_groups_says_whose_it_is(case: CaseOf) -> None:
    sides = case("sides")
    sides.edit('plain: {use: "data.py:plain"}', 'ordered: {use: "data.py:ordered"}\n  plain: {use: "data.py:plain"}')
    sides.edit("outputs: {masks: {value: classes, over: image, order: {flip: [0, 2, 1]}}}", "outputs: {masks: masks}")
    sides.edit("group: D1", "group: D4")
    with pytest.raises(ConfigError) as caught:
        prepare(sides.suite, Choices())
    (problem,) = map(str, caught.value.problems)
    assert (
        "symmetries.mirror: target 'masks': Classes is declared for the generators flip, expected one matrix"
        in problem
    )
    assert problem.endswith("Say except: {dataset: ordered} in the symmetry's entry to leave ordered out.")


def test_what_is_no_tensor_gets_no_advice_to_call_it_class_scores() -> None:
    with pytest.raises(ModelError, match=r"a NoneType, expected a tensor\. outputs: .*\{boxes: boxes\}"):
        read(None, {"logits": Undeclared()}, 2, "net")
