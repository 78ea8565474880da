"""Users' own sequences whose labels stand on their images: label maps and boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
import torch
from PIL import Image as Pil
from torch import Tensor
from torchvision import tv_tensors

from symbench.algebra.fields import Boxes, Category, Grid
from symbench.base.errors import ConfigError, DataError
from symbench.domains.common.canvas import Frame
from symbench.domains.common.datasets import DATASETS
from symbench.domains.images.datasets.decode import framed
from symbench.domains.images.datasets.items import Items

MAPS = [np.array([[0, 1, 2, 255], [1, 1, 0, 0]]), np.array([[2, 2, 2, 0], [0, 0, 1, 255]])]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))


def image(seed: int, height: int = 2, width: int = 4) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def palette(drawn: np.ndarray) -> Pil.Image:
    picture = Pil.fromarray(drawn.astype(np.uint8))
    picture.putpalette([*range(256)] * 3)
    return picture


@pytest.mark.parametrize(
    "as_label",
    [torch.from_numpy, lambda m: m.astype(np.uint8), palette, lambda m: tv_tensors.Mask(m[None].astype(np.uint8))],
    ids=["tensor", "array", "palette", "mask"],
)
def test_whole_numbers_of_the_images_size_are_a_label_map(as_label: Any) -> None:
    data = Items([(image(i), as_label(each)) for i, each in enumerate(MAPS)])
    assert data.targets == {"masks": Category().over(Grid("image"))}
    expected = [np.where(each == 255, -1, each).tolist() for each in MAPS]
    assert data.batch([1, 0]).targets["masks"].tolist() == expected[::-1]
    before = data.digest()
    data.prepare([0, 1], [None, 2])
    for _ in range(2):
        found = data.batch([0], canvas=2)
        assert found.targets["masks"].dtype == torch.int64
        assert found.targets["masks"][0].tolist() == [row[1:3] for row in expected[0]]
    changed = [MAPS[0], np.where(MAPS[1] == 2, 1, MAPS[1])]
    assert Items([(image(i), as_label(each)) for i, each in enumerate(changed)]).digest() != before


def test_pictures_in_frames_lose_their_ends_with_their_maps() -> None:
    """A strip loses its ends before Pillow resizes it: the map of what is bright stays that of what is bright."""
    drawn = np.zeros((4, 90), dtype=np.uint8)
    drawn[:, 40:47] = 1
    data = Items([(Pil.fromarray(drawn * 255), drawn)])
    frame = Frame(8, 8)
    found = data.batch([0], canvas=frame).targets["masks"][0]
    bright = torch.from_numpy(framed(Pil.fromarray(drawn * 255), frame))[0] > 127
    assert (found.bool() == bright).all()


def test_mappings_of_boxes_and_labels_are_boxes() -> None:
    some = {"boxes": torch.tensor([[0.0, 0, 2, 1], [1, 0, 4, 2]]), "labels": torch.tensor([2, 0])}
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    data = Items([(image(0), none), (image(1), some)], classes=["a", "b", "c"])
    assert data.targets == {"boxes": Boxes(3)}
    found = data.batch([0, 1]).targets["boxes"]
    nobody = [0, 0, 0, 0, 0, -1]
    assert found.tolist() == [[nobody, nobody], [[0, 0, 2, 1, 1, 2], [1, 0, 4, 2, 1, 0]]]
    assert data.batch([1], canvas=2).targets["boxes"].tolist() == [[[0, 0, 1, 1, 1, 2], [0, 0, 2, 2, 1, 0]]]
    assert Items([(image(1), some)], most=5).batch([0]).targets["boxes"].shape == (1, 5, 6)
    with pytest.raises(
        DataError, match=r"sample 0: it has 2 objects, expected at most 1. Say most: 2 on the dataset's"
    ):
        Items([(image(1), some)], most=1).batch([0])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ({"boxes": [[2.0, 0, 1, 1]], "labels": [0]}, r"object 0 has the box 2, 0, 1, 1, expected left < right"),
        (
            {"boxes": [[2.0, 0, 9, 1]], "labels": [0]},
            r"the box 2, 0, 9, 1, expected one in its picture of 4 x 2 pixels",
        ),
        ({"boxes": [[2.0, 0, 3, 1]], "labels": [3]}, r"object 0 is of class 3, expected 0 to 2"),
        (
            {"boxes": [[2.0, 0, 3]], "labels": [0]},
            r"got boxes of shape \(1, 3\), XYXY, and labels of shape \(1,\), expec",
        ),
        (
            {"boxes": tv_tensors.BoundingBoxes([[2, 0, 1, 1]], format="XYWH", canvas_size=(2, 4)), "labels": [0]},
            r"got boxes of shape \(1, 4\), XYWH, and labels",
        ),
        (np.array([[0, 1], [1, 0]]), r"its map has 2 x 2 pixels, and its image 2 x 4, expected one size"),
        (
            np.array([[0, 1, 7, 0]] * 2),
            r"its map has class 7, which is none, expected 0 to 2, or -1 for places to ignor",
        ),
        (np.array([[0, 1, -3, 0]] * 2), r"its map has class -3, which is none"),
    ],
)
def test_what_cannot_be_is_a_sentence_with_its_sample(label: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"data, sample 0: .*{message}"):
        Items([(image(0), label)], where="data", classes=["a", "b", "c"]).batch([0])


def test_a_label_of_another_kind_than_the_first_is_refused() -> None:
    with pytest.raises(DataError, match=r"sample 1: got a int, expected a label map, as the samples before"):
        Items([(image(0), MAPS[0]), (image(1), 3)], where="data").batch([1])
    whole = {"boxes": [[2.0, 0, 3, 1]], "labels": [0]}
    with pytest.raises(
        DataError, match=r"sample 1: got a dict with \['boxes'\], expected a mapping with boxes \(objects, 4"
    ):
        Items([(image(0), whole), (image(1), {"boxes": whole["boxes"]})], where="data")


def test_sets_of_torchvision_with_masks(tmp_path: Path) -> None:
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for i in range(2):
        photos.picture(i).save(root / "JPEGImages" / f"{i}.jpg")
        palette(np.random.default_rng(i).choice([0, 20, 255], (10, 12))).save(root / "SegmentationClass" / f"{i}.png")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("0\n1\n")
    row, parameters = DATASETS.find("torchvision/VOCSegmentation")
    load = row.load()
    given: dict[str, Any] = {"root": str(tmp_path)}
    data = load(**{**row.options(**given).model_dump(), **parameters})
    stored = np.array(Pil.open(root / "SegmentationClass" / "1.png")).astype(np.int64)
    assert data.batch([1]).targets["masks"][0].tolist() == np.where(stored == 255, -1, stored).tolist()
    with pytest.raises(
        ConfigError, match="torchvision's VOCSegmentation has no several targets, expected no target:"
    ):
        load(**{**row.options(**{**given, "target": "masks"}).model_dump(), **parameters})


def test_one_of_several_targets_of_torchvision(tmp_path: Path) -> None:
    root = tmp_path / "oxford-iiit-pet"
    (root / "images").mkdir(parents=True)
    (root / "annotations" / "trimaps").mkdir(parents=True)
    photos.picture(0).save(root / "images" / "Abyssinian_1.jpg")
    drawn = np.random.default_rng(0).choice([1, 2, 3], (10, 12))
    palette(drawn).save(root / "annotations" / "trimaps" / "Abyssinian_1.png")
    (root / "annotations" / "test.txt").write_text("Abyssinian_1 1 1 1\n")
    row, parameters = DATASETS.find("torchvision/OxfordIIITPet")
    given: dict[str, Any] = {"root": str(tmp_path), "target": "segmentation"}
    data = row.load()(**{**row.options(**given).model_dump(), **parameters})
    assert not data.classes  # those of the set are the breeds'
    assert data.batch([0]).targets["masks"][0].tolist() == drawn.tolist()
