"""Arrays whose targets stand on their images: a class for each pixel, boxes, joints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from symbench.algebra.fields import Boxes, Category, Grid, Keypoints
from symbench.base.errors import ConfigError, DataError
from symbench.domains.common.datasets import DATASETS

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (5, 1, 6, 8), dtype=np.uint8)
MAPS = GENERATOR.choice([0, 1, 2, 255], (5, 6, 8)).astype(np.uint8)
BOXES = np.array([[[0, 0, 0, 0, -1], [1, 1, 3, 4, 2]], [[0, 0, 8, 6, 0], [2, 0, 4, 3, 1]]] * 3)[:5].astype(np.float32)
POINTS = GENERATOR.uniform(0, 6, (5, 3, 2))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))


def load(folder: Path, path: str = "a.npz", **options: Any) -> Any:
    row, _ = DATASETS.find("arrays")
    return row.load()(**row.options(**{"path": path, **options}).model_dump(), folder=folder, where="data")


def made(folder: Path, **arrays: np.ndarray) -> dict[str, np.ndarray]:
    whole: dict[str, Any] = {"images": IMAGES, "maps": MAPS, "things": BOXES, "joints": POINTS, **arrays}
    np.savez(folder / "a.npz", **whole)
    return whole


def test_a_class_for_each_pixel(tmp_path: Path) -> None:
    whole = made(tmp_path)
    data = load(tmp_path, labels="maps")
    assert data.targets == {"masks": Category(3).over(Grid("image"))}
    expected = np.where(MAPS == 255, -1, MAPS.astype(np.int64))
    assert data.batch([3, 1]).targets["masks"].tolist() == expected[[3, 1]].tolist()
    assert data.batch([2], canvas=3).targets["masks"][0].tolist() == expected[2, 1::2][:, [1, 3, 5]].tolist()
    named = load(tmp_path, labels="maps", classes=["a", "b", "c", "d"])
    assert (list(named.classes), named.targets["masks"]) == (["a", "b", "c", "d"], Category(4).over(Grid("image")))
    assert len({data.digest(), named.digest(), load(tmp_path, labels="maps", ignore=2).digest()}) == 3
    save_file(whole, tmp_path / "a.safetensors")
    again = load(tmp_path, "a.safetensors", labels="maps").batch([0, 4]).targets["masks"]
    assert again.tolist() == expected[[0, 4]].tolist()


def test_boxes_and_joints(tmp_path: Path) -> None:
    made(tmp_path)
    data = load(tmp_path, boxes="things", keypoints="joints", pairs=[[0, 2]])
    assert data.targets == {"boxes": Boxes(3), "keypoints": Keypoints(((0, 2),))}
    found = data.batch([0, 1])
    nobody = [0, 0, 0, 0, 0, -1]
    assert found.targets["boxes"].tolist() == [
        [[1, 1, 3, 4, 1, 2], nobody],
        [[0, 0, 8, 6, 1, 0], [2, 0, 4, 3, 1, 1]],
    ]
    assert np.array_equal(found.targets["keypoints"].numpy(), POINTS[:2])
    small = data.batch([0, 1], canvas=3).targets
    assert small["boxes"].tolist() == [[[0.5, 0.5, 1.5, 2, 1, 2], nobody], [[0, 0, 3, 3, 1, 0], [1, 0, 2, 1.5, 1, 1]]]
    # The corner of an odd rest is round(0.5) = 0, as in torchvision.
    np.testing.assert_allclose(small["keypoints"].numpy(), POINTS[:2] / 2)


@pytest.mark.parametrize(
    ("options", "arrays", "message"),
    [
        (
            {"labels": "maps"},
            {"maps": MAPS[:, :4]},
            r"labels are uint8 of shape \(5, 4, 8\), of images of 6 x 8 pixels, exp",
        ),
        (
            {"labels": "maps"},
            {"maps": MAPS / 2},
            r"labels are float64 of shape \(5, 6, 8\), .* expected whole numbers",
        ),
        (
            {"labels": "maps"},
            {"maps": MAPS[:4]},
            r"labels are uint8 of shape \(4, 6, 8\), expected 5 labels, one for each",
        ),
        (
            {"boxes": "things"},
            {"things": BOXES[:, :, :3]},
            r"boxes are float32 of shape \(5, 2, 3\), expected \(n, most, 5",
        ),
        (
            {"boxes": "things"},
            {"things": BOXES[..., [2, 1, 0, 3, 4]]},
            r"sample 0, object 0, has the box 3, 1, 1, 4, expected left < right",
        ),
        (
            {"boxes": "things"},
            {"things": BOXES + 3 * (BOXES[..., 4:] >= 0)},
            r"sample 1, object 0, has the box 3, 3, 11, 9, expected one in its picture of 8 x 6 pixels",
        ),
        ({"boxes": "things", "classes": ["a", "b"]}, {}, r"a box is of class 2, expected 0 to 1. Name all classes"),
        (
            {"keypoints": "joints", "pairs": [[0, 3]]},
            {},
            r"expected 4 joints or more, as a pair names joint 3, counted from 0",
        ),
        ({"keypoints": "joints", "pairs": [[0, 0]]}, {}, r"pairs of different joints"),
        ({"keypoints": "joints"}, {"joints": POINTS[..., 0]}, r"points of an image have 2 or 3 numbers each"),
        (
            {"keypoints": "joints"},
            {"joints": POINTS * np.nan},
            r"keypoints are float64 of shape \(5, 3, 2\), expected fini",
        ),
        ({"classes": ["a"]}, {}, r"classes are named, and there are neither labels of pixels nor boxes"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, options: Any, arrays: Any, message: str) -> None:
    made(tmp_path, **arrays)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, **options)


def test_a_class_that_nobody_named_is_refused_where_it_is_read(tmp_path: Path) -> None:
    made(tmp_path)
    data = load(tmp_path, labels="maps", classes=["a", "b"])
    with pytest.raises(
        DataError, match=r"its map has class 2, which is none, expected 0 to 1, or -1 for places to ignore"
    ):
        data.batch([0, 1])
