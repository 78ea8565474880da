"""Objects in COCO's JSON: against pycocotools, and against loops."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
import torch
from pycocotools import mask as theirs  # type: ignore[import-untyped]
from pycocotools.coco import COCO  # type: ignore[import-untyped]

from symbench.algebra.fields import Boxes, Category, Grid, Keypoints
from symbench.base.errors import ConfigError, DataError
from symbench.domains.common.datasets import DATASETS
from symbench.domains.images.datasets.objects import pairs_of
from symbench.domains.images.datasets.polygons import counts_of, inside, mask_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
JOINTS = ["nose", "left_eye", "right_eye", "tail"]
SIZES = {3: (24, 20), 5: (24, 20), 9: (30, 16)}
"""Width and height of each image, by its id."""
CIRCLE = [[12 + 6.3 * np.cos(t) for t in np.linspace(0, 6, 9)], [9 + 5.1 * np.sin(t) for t in np.linspace(0, 6, 9)]]
ROUND = [float(x) for xy in zip(*CIRCLE, strict=True) for x in xy]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))


def document() -> dict[str, Any]:
    """Three images: one with two objects and a crowd, one with joints, one with nothing."""
    crowd = theirs.encode(np.asfortranarray(np.arange(480).reshape(20, 24) % 7 == 0).astype(np.uint8))
    runs = {"size": [20, 24], "counts": [45, 5, 15, 5, 410]}
    return {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": w, "height": h} for i, (w, h) in sorted(SIZES.items())
        ],
        "categories": [
            {"id": 17, "name": "dog"},
            {"id": 4, "name": "cat", "keypoints": JOINTS, "skeleton": [[1, 2]]},
        ],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 17, "bbox": [5.5, 3, 13, 12.5], "area": 99, "segmentation": [ROUND]},
            {"id": 2, "image_id": 3, "category_id": 4, "bbox": [2, 5, 2, 5], "area": 10, "segmentation": runs},
            {
                "id": 3, "image_id": 3, "category_id": 4, "bbox": [0, 0, 24, 20], "iscrowd": 1, "area": 9,
                "segmentation": {"size": [20, 24], "counts": crowd["counts"].decode()},
            },
            {
                "id": 4, "image_id": 9, "category_id": 4, "bbox": [1, 1, 9, 9], "area": 50,
                "segmentation": [[1, 1, 10, 1, 10, 10, 1, 10]], "num_keypoints": 3,
                "keypoints": [5, 2, 2, 4, 3, 1, 6, 3, 2, 0, 0, 0],
            },
            {
                "id": 5, "image_id": 9, "category_id": 4, "bbox": [20, 1, 4, 4], "area": 16,
                "segmentation": [[20, 1, 24, 1, 24, 5, 20, 5]], "num_keypoints": 1,
                "keypoints": [21, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            },
        ],
    }  # fmt: skip


def made(folder: Path, change: Callable[[dict[str, Any]], Any] = lambda said: None) -> None:
    (folder / "images").mkdir(exist_ok=True)
    for i, size in SIZES.items():
        photos.picture(i, size=size).save(folder / "images" / f"{i}.png")
    said = document()
    for each in said["annotations"]:
        each.setdefault("iscrowd", 0)
    change(said)
    (folder / "instances.json").write_text(json.dumps(said))


def load(folder: Path, **options: Any) -> Any:
    row, _ = DATASETS.find("coco")
    given = {"path": "instances.json", "images": "images", **options}
    return row.load()(**row.options(**given).model_dump(), folder=folder, where="data")


def test_boxes_are_those_of_pycocotools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path)
    data, reference = load(tmp_path), COCO(str(tmp_path / "instances.json"))
    capsys.readouterr()
    assert data.targets == {"boxes": Boxes(2)}
    assert list(data.classes) == ["cat", "dog"]
    boxes = [data.batch([i], canvas=40).targets["boxes"][0] for i in range(3)]
    unmoved = data.annotations["boxes"].batch(np.arange(3), None)
    assert unmoved.dtype == torch.float64
    for image, found in zip(sorted(SIZES), unmoved, strict=True):
        rows = []
        for each in reference.loadAnns(reference.getAnnIds(imgIds=[image], iscrowd=False)):
            x, y, w, h = each["bbox"]
            rows.append(
                [x, y, x + w, y + h, 1, ["cat", "dog"].index(reference.loadCats(each["category_id"])[0]["name"])]
            )
        assert found.tolist() == [*rows, *[[0, 0, 0, 0, 0, -1]] * (2 - len(rows))]
    assert boxes[0][0].tolist() == [7, 6, 33, 31, 1, 1]  # twice as large; 4 of the 48 pixels are cut at either side
    assert data.remarks() == ["data: 1 annotation of a crowd is no object."]


def outlines() -> Mapping[str, list[float]]:
    rng = np.random.default_rng(0)
    star = [
        (15 + r * np.cos(t), 12 + r * np.sin(t)) for t, r in zip(np.linspace(0, 6.28, 12), [10, 4] * 6, strict=True)
    ]
    return {
        "round": ROUND,
        "square": [3, 2, 9, 2, 9, 7, 3, 7],
        "star": [float(x) for xy in star for x in xy],
        "beyond": [-5, -5, 40, 3, 12, 30],
        "random": [float(x) for x in rng.uniform(2, 20, 6)],
    }


@pytest.mark.parametrize("name", outlines())
def test_pixels_are_inside_where_their_centres_are(name: str) -> None:
    outline, (height, width) = outlines()[name], (24, 30)
    found = inside(outline, height, width)
    points = list(zip(outline[::2], outline[1::2], strict=True))
    for r in range(height):
        for c in range(width):
            x, y, within = c + 0.5, r + 0.5, False
            for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
                if (y0 > y) != (y1 > y) and x >= x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                    within = not within
            assert found[r, c] == within, (r, c)
    # pycocotools walks along the outline on a grid five times as fine: it differs along the outline alone.
    reference = theirs.decode(theirs.frPyObjects([outline], height, width))[..., 0].astype(bool)
    grown = np.pad(found, 1, mode="edge")
    near = [grown[1 + i : 1 + i + height, 1 + j : 1 + j + width] for i in (-1, 0, 1) for j in (-1, 0, 1)]
    rim = np.any(near, axis=0) & ~np.all(near, axis=0)
    assert (found == reference)[~rim].all()
    assert (found != reference).sum() <= 0.2 * reference.sum()


def test_a_square_of_whole_pixels_is_that_of_pycocotools() -> None:
    square = [3, 2, 9, 2, 9, 7, 3, 7]
    assert (inside(square, 12, 12) == theirs.decode(theirs.frPyObjects([square], 12, 12))[..., 0].astype(bool)).all()


@pytest.mark.parametrize("seed", range(4))
def test_runs_are_those_of_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = (rng.random((13, 300)) < (0.5, 0.02, 0.98, 0.0)[seed]).astype(np.uint8)
    coded = theirs.encode(np.asfortranarray(drawn))
    flat = drawn.T.ravel()
    ends = [0, *(np.flatnonzero(np.diff(flat)) + 1), len(flat)]
    counts = [*([0] if flat[0] else []), *np.diff(ends).tolist()]
    assert counts_of(coded["counts"].decode()) == counts
    for said in (coded["counts"].decode(), counts):
        assert (mask_of({"size": [13, 300], "counts": said}, 13, 300) == drawn.astype(bool)).all()


def test_maps_are_those_of_the_outlines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path)
    data, reference = load(tmp_path, target="masks"), COCO(str(tmp_path / "instances.json"))
    capsys.readouterr()
    assert data.targets == {"masks": Category(3).over(Grid("image"))}
    assert list(data.classes) == ["background", "cat", "dog"]
    found = torch.from_numpy(data.annotations["masks"].draw(0))
    dog, cat, crowd = (reference.annToMask(each).astype(bool) for each in reference.loadAnns([1, 2, 3]))
    dog = inside(ROUND, 20, 24)  # pycocotools' differs along the outline
    expected = np.zeros((20, 24), dtype=np.int64)
    expected[crowd & ~dog & ~cat] = -1
    expected[dog], expected[cat], expected[dog & cat] = 2, 1, -1
    assert found.tolist() == expected.tolist()
    assert (data.batch([1], canvas=10).targets["masks"] == 0).all()
    expected_there = np.zeros((16, 30), dtype=np.int64)
    expected_there[1:10, 1:10] = expected_there[1:5, 20:24] = 1
    assert data.batch([2], canvas=16).targets["masks"][0].tolist() == expected_there[:, 7:23].tolist()
    assert data.remarks() == ["data: 1 annotation of a crowd is a place to ignore."]


def test_joints_are_those_of_the_largest_object(tmp_path: Path) -> None:
    made(tmp_path)
    data = load(tmp_path, target="keypoints")
    assert data.targets == {"keypoints": Keypoints(((1, 2),), origin="centre")}
    assert data.classes is None
    points = data.annotations["keypoints"].batch(np.arange(3), None)
    assert points[:2].tolist() == [[[0, 0, 0]] * 4] * 2
    assert points[2].tolist() == [[5, 2, 1], [4, 3, 1], [6, 3, 1], [0, 0, 0]]
    # 32 of 60 columns are kept: the first pixel's centre is at 0.5 of a new one, and the nose is 3.5 beyond the edge.
    moved = data.batch([2], canvas=32).targets["keypoints"][0]
    assert moved[0].tolist() == [5 * 2 + 0.5 - 14, 2 * 2 + 0.5, 0]
    assert data.remarks()[-1] == "data: the points of 1 image are those of its largest object alone."
    together = load(tmp_path, target="all")
    assert set(together.targets) == {"boxes", "masks", "keypoints"}
    assert together.batch([0], canvas=24).targets["boxes"][0, :, 5].tolist() == [2, 1]
    assert together.digest() != data.digest()


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["nose", "left_eye", "right_eye", "left_ear", "right_ear"], ((1, 2), (3, 4))),
        (["Wrist Right", "wrist left", "l_hip", "r_hip", "leftover", "rightover"], ((0, 1), (2, 3))),
        (["left_eye", "tail"], ()),
    ],
)
def test_a_mirror_exchanges_left_and_right(names: list[str], pairs: tuple[tuple[int, int], ...]) -> None:
    assert pairs_of(names) == pairs


def first(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda said: said["annotations"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "target", "message"),
    [
        (
            first(bbox=[5, 3, -2, 4]),
            "boxes",
            r"annotation 1 of 3.png has the box 5, 3, 3, 7, expected left < right and top < bo",
        ),
        (
            first(bbox=[5, 3, 25, 4]),
            "boxes",
            r"box 5, 3, 30, 7, expected one in its picture of 24 x 20 pixels. Edges a",
        ),
        (
            first(bbox=[5, 3, 25]),
            "boxes",
            r"annotation 1 of 3.png has bbox \[5, 3, 25\], expected \[left, top, width",
        ),
        (
            first(category_id=8),
            "boxes",
            r"annotation 1 of 3.png is of category 8, which is not listed, expected one of",
        ),
        (
            first(segmentation=[]),
            "masks",
            r"annotation 1 of 3.png has no segmentation, expected polygons or runs.*Say target: boxes where",
        ),
        (first(image_id=8), "boxes", r"instances.json has an annotation of image 8, which it does not list"),
        (
            first(segmentation=[[1, 2]]),
            "masks",
            r"annotation 1 of 3.png: its segmentation is neither polygons of 3 cor",
        ),
        (
            first(segmentation={"size": [4, 24], "counts": [96]}),
            "masks",
            r"3.png: its mask has 24 x 4 pixels, and the image 24 x 20",
        ),
        (
            first(segmentation={"size": [20, 24], "counts": [9]}),
            "masks",
            r"its runs make 9 pixels, and the image has 480",
        ),
        (first(segmentation={"size": [20, 24], "counts": "\u00e9"}), "masks", r"its runs hold 'é'"),
        (
            lambda said: said.pop("categories"),
            "boxes",
            r"instances.json is no COCO file: it has no list 'categories', exp",
        ),
        (
            lambda said: said["images"][0].pop("id"),
            "boxes",
            r"is no COCO file: images holds {\"file_name\": \"3.png\"",
        ),
        (
            lambda said: said["images"][0].update(width=48),
            "boxes",
            r"says that 3.png has 48 x 20 pixels, expected the 24 x 20 of the file. Annotations are those of other",
        ),
        (
            lambda said: said["categories"][1].pop("keypoints"),
            "keypoints",
            r"has no keypoints, expected a category with",
        ),
        (
            lambda said: said["annotations"][3].update(keypoints=[1, 2, 3]),
            "keypoints",
            r"annotation 4 of 9.png has 3 numbers of keypoints, expected 3 for each of 4",
        ),
    ],
)
def test_what_cannot_be_is_a_sentence(tmp_path: Path, change: Any, target: str, message: str) -> None:
    made(tmp_path, change)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, target=target)


@pytest.mark.parametrize(
    ("change", "target", "message"),
    [
        (first(image_id=[1]), "boxes", "is no COCO file: annotations holds"),
        (lambda said: said["images"][0].update(file_name=5), "boxes", "is no COCO file: images holds"),
        (lambda said: said["categories"].append(said["categories"][0]), "boxes", "has two categories of one id"),
        (first(keypoints=7), "keypoints", "3.png has keypoints 7, expected a list"),
        (first(area="large"), "boxes", "3.png has area large, expected a number"),
        (first(segmentation={"size": 480, "counts": [480]}), "masks", "its runs are neither whole numbers nor"),
        (first(segmentation={"size": [20, 24], "counts": [10**30]}), "masks", "its runs are neither whole"),
    ],
)
def test_parts_of_another_kind_are_a_sentence(tmp_path: Path, change: Any, target: str, message: str) -> None:
    test_what_cannot_be_is_a_sentence(tmp_path, change, target, message)


def test_files_that_are_no_json_and_too_many_objects_are_refused(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(ConfigError, match=r"2 objects in 3.png, expected at most 1"):
        load(tmp_path, most=1)
    assert load(tmp_path, most=5).batch([1], canvas=8).targets["boxes"].shape == (1, 5, 6)
    (tmp_path / "instances.json").write_text("{")
    with pytest.raises(ConfigError, match="instances.json is no JSON: Expecting property name"):
        load(tmp_path)
    (tmp_path / "instances.json").write_text("[1]")
    with pytest.raises(ConfigError, match="instances.json is no COCO file: it has no list 'images'"):
        load(tmp_path)


def test_flat_boxes_and_rounding_are_taken_and_missing_images_named(tmp_path: Path) -> None:
    def change(said: dict[str, Any]) -> None:
        said["annotations"][0]["bbox"] = [-0.3, 3, 24.6, 4]
        said["annotations"][1]["bbox"] = [2, 5, 0, 5]
        said["images"][1]["file_name"] = "gone.png"

    made(tmp_path, change)
    data = load(tmp_path)
    assert data.annotations["boxes"].batch(np.arange(1), None)[0].tolist() == [
        [0, 3, 24, 7, 1, 1],
        [0, 0, 0, 0, 0, -1],
    ]
    data.prepare([0, 1, 2], [8])
    assert data.remarks() == [
        "data: 1 of 3 files cannot be read and are left out: gone.png (No such file or directory).",
        "data: 1 annotation of a crowd is no object.",
        "data: 1 object without area is left out.",
    ]
    with pytest.raises(DataError, match=r"sample 1: gone.png cannot be used: No such file"):
        data.batch([1], canvas=8)
