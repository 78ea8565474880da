"""What a suite says of outputs: a word, or a value with its parts and the places that it stands over."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import Folder

from symbench.algebra.fields import (
    ANY,
    OUTPUTS,
    Axis,
    Boxes,
    Category,
    Field,
    Flow,
    Grid,
    Keypoints,
    Logits,
    Probabilities,
    Scalar,
    Vector,
    classes,
)
from symbench.base.errors import ConfigError
from symbench.face.api import Choices, prepare
from symbench.measure import suite as suites
from symbench.measure.assemble import outputs_of
from symbench.measure.suite import ModelEntry
from symbench.measure.tasks import pair

IMAGE = Scalar().over(Grid("image"))
LEAVES: dict[str, Field] = {
    "image": IMAGE,
    "positions": Vector().over(Axis("atoms")),
    "video": Scalar().over(Axis("frames"), Grid("screen")),
}
TURN = {"turn": [1, 2, 3, 0]}


def declared(said: object) -> Field:
    """The field of an output that an entry says this of."""
    entry = ModelEntry.model_validate({"use": "cnn", "outputs": {"out": said}})
    return outputs_of(entry, torch.nn.Identity(), LEAVES)["out"]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        *((word, field) for word, field in OUTPUTS.items()),
        ({"value": "classes"}, Logits()),
        ({"value": "classes", "over": "image"}, Logits().over(Grid("image"))),
        ({"value": "classes", "over": ANY}, Logits()),
        ({"value": "probabilities", "over": "image"}, Probabilities().over(Grid("image"))),
        ({"value": "classes", "order": TURN, "over": "image"}, classes(TURN).over(Grid("image"))),
        ({"value": "classes", "order": TURN, "group": "C4"}, classes(TURN, group="C4")),
        ({"value": "masks"}, Logits().over(Grid(ANY))),
        ({"value": "image", "over": "screen"}, Scalar().over(Grid("screen"))),
        ({"value": "flow"}, Flow().over(Grid(ANY))),
        ({"value": "flow", "over": "image"}, Flow().over(Grid("image"))),
        ({"value": "vector", "over": "positions"}, Vector().over(Axis("atoms"))),
        ({"value": "vector", "over": "atoms"}, Vector().over(Axis("atoms"))),
        ({"value": "scalar", "over": "frames"}, Scalar().over(Axis("frames"))),
        ({"value": "scalar", "over": "video"}, Scalar().over(Axis("frames"), Grid("screen"))),
        ({"value": "boxes", "classes": 3, "threshold": 0.25, "hull": True}, Boxes(3, 0.25, hull=True)),
        ({"value": "keypoints", "pairs": [[1, 2]], "origin": "centre"}, Keypoints(((1, 2),), "centre")),
    ],
    ids=str,
)
def test_what_is_said_is_a_field(said: object, field: Field) -> None:
    assert declared(said) == field


def test_over_any_places_is_over_those_that_move() -> None:
    assert declared({"value": "flow", "over": ANY}) == Flow().over(Grid(ANY))


def test_keys_hold_what_is_said_and_words_as_they_were() -> None:
    said: dict[str, Any] = {"out": "logits", "masks": {"over": "image", "value": "classes"}}
    entry = ModelEntry.model_validate({"use": "cnn", "outputs": said})
    assert entry.declared_outputs == {
        "outputs": [["out", "logits"], ["masks", {"value": "classes", "over": "image"}]]
    }
    assert entry.stands_over_data
    assert not ModelEntry.model_validate({"use": "cnn", "outputs": {"out": "logits"}}).stands_over_data


WRONG = [
    ("lgits", "outputs.out: got 'lgits', expected one of", "Did you mean 'logits'?"),
    ("{value: clases}", "outputs.out.value: got 'clases', expected one of", "Did you mean 'classes'?"),
    ("{value: scalar, ovr: image}", "outputs.out.ovr: got unknown key 'ovr', expected one of value, over,", "Did you mean 'over'?"),
    ("{over: image}", "outputs.out: value is missing", "Add 'value:'."),
    ("classes", "outputs.out: got 'classes', expected masks for class scores of places", "{value: classes, over: LEAF}"),
    ("3", "outputs.out: got 3, expected one of logits, probabilities,", ""),
    ("{value: classes, order: {turn: [1, 2, 2, 0]}}", "outputs.out.order: got", "where each class goes, every one once"),
    ("{value: classes, order: {turn: [1, 0], mirror: [0, 1, 2]}}", "outputs.out.order: got", "of as many classes each"),
    ("{value: classes, order: {}}", "outputs.out.order: got {}", "one generator or more"),
    ("{value: classes, order: [1, 0]}", "outputs.out.order: got [1, 0], expected a mapping", ""),
    ("{value: scalar, order: {turn: [1, 0]}}", "outputs.out: got", "order with value: classes alone"),
    ("{value: classes, group: C4}", "outputs.out: got", "an order beside group"),
    ("{value: boxes, over: image}", "outputs.out: got", "no over, as boxes are those of a whole image"),
    ("{value: boxes, threshold: 2}", "outputs.out.threshold: got 2, expected 1.0 or less", ""),
    ("{value: keypoints, pairs: [[1, 1]]}", "outputs.out.pairs: got", "pairs of different joints"),
    ("{value: keypoints, pairs: [[1, 2, 3]]}", "outputs.out.pairs: got", "pairs of different joints"),
    ("{value: keypoints, origin: center}", "outputs.out.origin: got 'center'", "Did you mean 'centre'?"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "start", "more"), WRONG, ids=[said for said, *_ in WRONG])
def test_mistakes_are_named_with_their_line(folder: Folder, said: str, start: str, more: str) -> None:
    folder.write()
    text = folder.suite.read_text().replace('"model.py:build"', f'"model.py:build", outputs: {{out: {said}}}')
    folder.suite.write_text(text)
    with pytest.raises(ConfigError) as caught:
        suites.load(folder.suite)
    assert len(caught.value.problems) == 1
    found = str(caught.value)
    assert f"small.yaml:6: models.mine.{start}" in found
    assert more in found


def test_places_that_no_leaf_has_are_named(folder: Folder) -> None:
    text = folder.suite.read_text()
    said = '"model.py:build", outputs: {out: {value: classes, over: imag}}'
    folder.suite.write_text(text.replace('"model.py:build"', said))
    with pytest.raises(ConfigError, match=r"small.yaml:6: models.mine.outputs.out.over: got 'imag', expected a leaf "
                       r"or an axis of blobs: image. Did you mean 'image'\?"):  # fmt: skip
        prepare(folder.suite, Choices())


def test_classes_in_an_order_meet_labels_that_say_nothing_of_it() -> None:
    outputs, targets = {"logits": classes(TURN)}, {"label": Category(4)}
    (found,) = pair(outputs, targets, scale="probabilities")
    assert found.target == "label"
    task = found.of((4,))
    assert (task.kind, task.field) == ("classification", classes(TURN))


def test_one_of_two_outputs_that_labels_could_be_for_is_not_guessed() -> None:
    outputs = {"one": classes(TURN), "two": Logits()}
    assert [each.target for each in pair(outputs, {"label": Category(4)}, scale="probabilities")] == [None, None]
