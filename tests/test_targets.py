"""What labels of users' data are taken for: by the first of them, or by all where that leaves it open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import tensor

from symbench.algebra.fields import Category, Field, MultiLabel, Scalar
from symbench.base.errors import ConfigError, DataError
from symbench.domains.images.datasets.arrays import ImageArray
from symbench.domains.images.datasets.items import Items

IMAGE = torch.zeros(1, 3, 3)


def items(labels: Sequence[Any], **options: Any) -> Items:
    return Items([(IMAGE, label) for label in labels], **options)


@pytest.mark.parametrize(
    ("labels", "field", "read"),
    [
        ([0, 3, 1], Category(), [0, 3, 1]),
        ([True, False], Category(), [1, 0]),
        ([[3], [1]], Category(), [3, 1]),
        ([tensor(1), np.int8(0)], Category(), [1, 0]),
        ([0.0, 1.0, 1.0], Category(2), [0, 1, 1]),
        ([0.0, 1.0, 0.25], Scalar(), [0.0, 1.0, 0.25]),
        ([0.75, 1, 0], Scalar(), [0.75, 1.0, 0.0]),
        ([tensor([0.5]), tensor([2.0])], Scalar(), [0.5, 2.0]),
        ([tensor([0.0, 1.0, 1.0]), tensor([1.0, 0, 0])], MultiLabel(3), [[0, 1, 1], [1, 0, 0]]),
        ([np.array([True, False]), np.array([False, False])], MultiLabel(2), [[1, 0], [0, 0]]),
        ([tensor([0.0, 1.0]), tensor([1.0, 0.5])], Scalar(), [[0.0, 1.0], [1.0, 0.5]]),
        ([[0.5, 1.5], [1, 0]], Scalar(), [[0.5, 1.5], [1.0, 0.0]]),
        ([[0, 2], [], [1]], MultiLabel(3), [[1, 0, 1], [0, 0, 0], [0, 1, 0]]),
        ([[0], [0, 1]], MultiLabel(2), [[1, 0], [1, 1]]),
        ([[0, 1], [1, 1]], MultiLabel(2), [[0, 1], [1, 1]]),
        ([{4, 1}, {0}], MultiLabel(5), [[0, 1, 0, 0, 1], [1, 0, 0, 0, 0]]),
    ],
    ids=str,
)
def test_what_labels_are(labels: list[Any], field: Field, read: list[Any]) -> None:
    data = items(labels)
    assert data.targets == {"label": field}
    assert data.batch(range(len(labels))).targets["label"].tolist() == read
    assert len(data.digest()) == 64


def test_none_is_no_label_and_an_image_alone_has_none() -> None:
    for data in (items([None, None]), Items([(IMAGE,), (IMAGE,)]), Items([IMAGE, IMAGE])):
        assert data.targets == {}
        assert data.batch([0, 1]).targets == {}
    assert items([None]).digest() == Items([IMAGE]).digest()


def test_names_say_how_many_labels_there_are() -> None:
    data = items([[0], [1, 0]], classes=["a", "b", "c"])
    assert data.targets == {"label": MultiLabel(3)}
    assert data.batch([1]).targets["label"].tolist() == [[1, 1, 0]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0.75], "sample 1: got label 0.75, expected one class index, as the samples before"),
        ([1, None], "sample 1: has no label, expected one class index"),
        ([None, 1], "sample 1: has label 1, expected no label"),
        ([-1], "sample 0: got label -1, expected 0 or more"),
        (["cat"], "sample 0: got label 'cat', expected a class index, a number"),
        ([{"boxes": [1]}], "sample 0: got label {'boxes'"),
        ([torch.zeros(90, 90)], r"sample 0: got label torch.float32 of shape \(90, 90\), expected"),
        ([float("nan")], "sample 0: got label nan"),
        (
            [tensor([3, 4, 9])],
            r"sample 0: got label torch.int64 of shape \(3,\). Numbers are floats; several classes",
        ),
        ([[0, -2]], r"sample 0: got label \[0, -2\]. Numbers are floats"),
        (
            [tensor([0, 1]), tensor([0, 1, 1])],
            "sample 1: its label has 3 numbers, after 2, expected as many for each",
        ),
        ([tensor([0.0, 1.0]), 0.0], "sample 1: its label is 0 or 1, after 0 and 1 for several labels"),
        (
            [tensor([0.5, 1.5]), tensor([0.5])],
            "sample 1: got label torch.float32 .* expected 2 numbers, as the samples",
        ),
    ],
)
def test_what_labels_may_not_be(labels: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        items(labels).batch(range(len(labels)))


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        (np.array([0, 2, 1]), Category(3)),
        (np.array([0.0, 1.0, 0.0]), Category(2)),
        (np.array([0.0, 0.5, 0.0]), Scalar()),
        (np.array([[0, 1], [1, 1], [0, 0]], dtype=np.uint8), MultiLabel(2)),
        (np.array([[0, 1.5], [1, 1], [0, 0]]), Scalar()),
    ],
)
def test_labels_of_array_files(labels: np.ndarray, field: Field) -> None:
    data = ImageArray(np.zeros((3, 1, 2, 2), np.uint8), labels, channels_last=False, digest="", where="data")
    assert data.targets == {"label": field}
    assert data.batch([1]).targets["label"].tolist() == labels[1:2].tolist()


def test_labels_of_array_files_that_may_be_either() -> None:
    whole = np.array([[3, 4], [1, 2]])
    with pytest.raises(
        ConfigError, match=r"labels are int64 of shape \(2, 2\), expected for each of 2 images a class"
    ):
        ImageArray(np.zeros((2, 1, 2, 2), np.uint8), whole, channels_last=False, digest="", where="data")


class Holds(list[Any]):
    """A list of pairs that may have a method ``valid``."""


@pytest.mark.parametrize(
    ("valid", "asked"),
    [
        (lambda label, element: False, True),
        (lambda label, element, tolerance=3: False, True),
        (lambda: [1, 2], False),
        (lambda index: True, False),
        (lambda *anything: True, False),
        (lambda label, element, other: True, False),
        (dict, False),
        ("valid", False),
    ],
)
def test_a_rule_of_valid_labels_takes_label_and_element(valid: Any, asked: bool) -> None:
    source = Holds([(IMAGE, 0), (IMAGE, 1)])
    source.valid = valid  # type: ignore[attr-defined]
    data = Items(source)
    assert (data.valid is not None) == asked
    assert bool(data.remarks()) == (callable(valid) and not asked)


@pytest.mark.parametrize(("rows", "said"), [([[1, 0], [0, 1], [1, 0]], True), ([[1, 0], [1, 1], [0, 1]], False)])
def test_labels_of_one_1_each_are_said(rows: list[list[int]], said: bool) -> None:
    data = Items([(np.zeros((1, 4, 4), np.float32), np.array(row)) for row in rows])
    assert isinstance(data.targets["label"], MultiLabel)
    data.digest()
    assert any("give its index instead" in remark for remark in data.remarks()) == said
