"""Folders as PASCAL VOC has them: against torchvision's own reading of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
from PIL import Image as Pil
from torchvision.datasets import VOCDetection, VOCSegmentation

from symbench.algebra.fields import Boxes, Category, Grid
from symbench.base.errors import ConfigError
from symbench.domains.common.datasets import DATASETS
from symbench.domains.images.datasets.voc import CLASSES, parsed

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)
DOG, CAT, HARD = (
    OBJECT.format("dog", 0, 3, 2, 7, 9),
    OBJECT.format("cat", 0, 1, 1, 12, 10),
    OBJECT.format("cow", 1, 1, 1, 3, 3),
)
BOMB = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>'


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))


def xml(*objects: str, width: int = 12) -> str:
    size = f"<size><width>{width}</width><height>10</height><depth>3</depth></size>"
    return f"<annotation><filename>x.jpg</filename>{size}{''.join(objects)}</annotation>"


def made(folder: Path) -> Path:
    """``VOCdevkit/VOC2012`` with four pictures of 12 x 10, three of them in the list ``val``."""
    root = folder / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for i, objects in enumerate([(DOG, CAT, HARD), (), (CAT,), (DOG,)]):
        photos.picture(i).save(root / "JPEGImages" / f"{i}.jpg")
        (root / "Annotations" / f"{i}.xml").write_text(xml(*objects))
        mask = Pil.fromarray(np.random.default_rng(i).choice([0, 8, 12, 255], (10, 12)).astype(np.uint8))
        mask.putpalette([*range(256)] * 3)
        mask.save(root / "SegmentationClass" / f"{i}.png")
    for kind in ("Main", "Segmentation"):
        (root / "ImageSets" / kind / "val.txt").write_text("2\n0\n1\n")
        (root / "ImageSets" / kind / "train.txt").write_text("3\n")
    return root


def load(folder: Path, **options: Any) -> Any:
    row, _ = DATASETS.find("voc")
    given = row.options(**{"root": "VOCdevkit/VOC2012", **options}).model_dump()
    return row.load()(**given, folder=folder, where="data")


def test_boxes_are_those_of_torchvision(tmp_path: Path) -> None:
    made(tmp_path)
    data, theirs = load(tmp_path), VOCDetection(str(tmp_path), year="2012", image_set="val")
    assert data.targets == {"boxes": Boxes(20)}
    assert list(data.classes) == list(CLASSES)
    found = data.batch([0, 1, 2])
    for (image, annotation), pixels, boxes in zip(theirs, found.leaves["image"], found.targets["boxes"], strict=True):
        assert (pixels.mul(255).round().byte().movedim(0, -1).numpy() == np.array(image)).all()
        rows = []
        for each in annotation["annotation"].get("object", []):
            if each["difficult"] == "0":
                x0, y0, x1, y1 = (float(each["bndbox"][edge]) for edge in ("xmin", "ymin", "xmax", "ymax"))
                rows.append([x0 - 1, y0 - 1, x1, y1, 1, CLASSES.index(each["name"])])
        assert boxes.tolist() == [*rows, *[[0, 0, 0, 0, 0, -1]] * (2 - len(rows))]
    assert found.targets["boxes"][1, 1].tolist() == [0, 0, 12, 10, 1, 7]  # the whole picture
    assert data.remarks() == ["data: 1 difficult object is left out."]
    assert len(load(tmp_path, split="train")) == 1


def test_masks_are_those_of_torchvision(tmp_path: Path) -> None:
    made(tmp_path)
    data, theirs = load(tmp_path, target="masks"), VOCSegmentation(str(tmp_path), year="2012", image_set="val")
    assert data.targets == {"masks": Category(21).over(Grid("image"))}
    found = data.batch([0, 1, 2]).targets["masks"].numpy()
    for (_, mask), seen in zip(theirs, found, strict=True):
        stored = np.array(mask).astype(np.int64)
        assert (seen == np.where(stored == 255, -1, stored)).all()
    both = load(tmp_path, target="all")
    assert (list(both.targets), both.classes[8]) == (["boxes", "masks"], "cat")
    assert both.batch([0]).targets["boxes"][0, 0].tolist() == [0, 0, 12, 10, 1, 8]
    assert len({data.digest(), both.digest(), load(tmp_path).digest()}) == 3


def test_digests_are_of_the_boxes_too(tmp_path: Path) -> None:
    root = made(tmp_path)
    before = load(tmp_path).digest()
    assert load(tmp_path).digest() == before
    (root / "Annotations" / "1.xml").write_text(xml(DOG))
    assert load(tmp_path).digest() != before


def test_classes_of_ones_own(tmp_path: Path) -> None:
    made(tmp_path)
    assert load(tmp_path, classes=["dog", "cat"]).batch([1]).targets["boxes"][0, :, 5].tolist() == [0, 1]
    with pytest.raises(
        ConfigError, match=r"0.xml has an object of class 'dog', expected one of .* Did you mean 'dogs'"
    ):
        load(tmp_path, classes=["dogs", "cat"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            xml(OBJECT.format("cat", 0, 5, 2, 3, 9)),
            r"0.xml, a cat, has the box 4, 1, 3, 9, expected left < right and top",
        ),
        (
            xml(OBJECT.format("cat", 0, 5, 2, 30, 9)),
            r"0.xml, a cat, has the box 4, 1, 30, 9, expected one in its picture",
        ),
        (
            xml(OBJECT.format("cat", 0, 5, "?", 30, 9)),
            r"0.xml has a cat whose bndbox holds '5', '\?', '30', '9', expected",
        ),
        (
            xml(OBJECT.format("cat", 0, "nan", 2, 30, 9)),
            r"0.xml, a cat, has the box nan, 1, 30, 9, expected left < right",
        ),
        (xml(DOG, width=99), r"0.xml is of a picture of 99 x 10 pixels, expected the 12 x 10 of the file"),
    ],
)
def test_boxes_that_cannot_be_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (made(tmp_path) / "Annotations" / "0.xml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_text("<annotation><object>"), "0.xml is no XML that can be used: no element found"),
        (lambda path: path.write_bytes(b""), "0.xml is no XML that can be used: no element found"),
        (lambda path: path.write_bytes(BOMB), "0.xml is no XML that can be used: it declares a document type"),
        (lambda path: path.unlink(), "0.xml cannot be read: No such file or directory"),
    ],
)
def test_pictures_without_xml_are_left_out_and_named(
    tmp_path: Path, spoil: Callable[[Path], Any], reason: str
) -> None:
    spoil(made(tmp_path) / "Annotations" / "0.xml")
    data = load(tmp_path)
    assert list(data.unusable) == [1]
    assert data.unusable[1].startswith(reason)
    assert data.remarks()[0].startswith(f"data: 1 picture is left out: JPEGImages/0.jpg ({reason}")


def test_lists_that_are_not_there_are_refused(tmp_path: Path) -> None:
    root = made(tmp_path)
    with pytest.raises(
        ConfigError, match=r"vall.txt cannot be read, expected one of train, val in .* Did you mean 'val'"
    ):
        load(tmp_path, list="vall")
    with pytest.raises(ConfigError, match=r"list: val has no training split"):
        load(tmp_path, list="val", split="train")
    (root / "ImageSets" / "Main" / "val.txt").write_text("\n")
    with pytest.raises(ConfigError, match=r"val.txt is empty, expected a name in each line"):
        load(tmp_path)
    for i in range(3):
        (root / "Annotations" / f"{i}.xml").unlink()
    (root / "ImageSets" / "Main" / "val.txt").write_text("0 1\n1 -1\n")
    with pytest.raises(
        ConfigError, match=r"none of 2 pictures can be used, such as JPEGImages/0.jpg \(0.xml cannot be"
    ):
        load(tmp_path)


def test_xml_without_a_document_type_is_read() -> None:
    assert parsed(b"<a><b>1</b><b>2</b></a>").findtext("b") == "1"
