"""Synthetic scenes: what is asked of them fits what is shown, and all of it comes from a seed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from symbench.base.errors import ConfigError
from symbench.base.registry import checked_options
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.datasets.base import Arrays


def scenes(**options: Any) -> Arrays:
    row = DATASETS.row("scenes")
    checked = checked_options(row.options, {"samples": 40, **options}, "scenes")
    found: Arrays = row.load()(**checked.model_dump())
    return found


@pytest.mark.parametrize("size", [33, 40])
@pytest.mark.parametrize(("pose", "most"), [("upright", 4), ("random", 1)])
def test_boxes_are_about_the_pixels_of_each_object(size: int, pose: str, most: int) -> None:
    found = scenes(size=size, pose=pose, objects=most, target="all").target_values
    for mask, boxes in zip(found["masks"].numpy(), found["boxes"].numpy(), strict=True):
        # one that is turned may have a pixel of its tip by itself: it is alone in its image
        pieces = ndimage.label(mask)[0] if pose == "upright" else (mask > 0).astype(int)
        expected = [
            [float(columns.start), rows.start, columns.stop, rows.stop, 1, mask[pieces == number].max() - 1]
            for number, (rows, columns) in enumerate(ndimage.find_objects(pieces), start=1)
        ]
        there = boxes[:, 5] >= 0
        assert sorted(boxes[there].tolist()) == sorted(expected)
        assert (boxes[~there] == [0, 0, 0, 0, 0, -1]).all()
        assert not there[there.sum() :].any()


@pytest.mark.parametrize("pose", ["upright", "random"])
def test_halves_and_points_are_those_of_the_only_triangle(pose: str) -> None:
    found = scenes(size=65, pose=pose, target="all").target_values
    rows, columns = np.mgrid[:65, :65] + 0.5
    each = zip(*(found[name].numpy() for name in ("masks", "halves", "keypoints")), strict=True)
    for mask, half, points in each:
        assert ((half != 0) == (mask == 3)).all()
        assert (points[:, 2] == 1).all()
        tip, left, right = points[:, :2]
        base, ahead = right - left, tip - (left + right) / 2
        length = np.linalg.norm([base, tip - left, tip - right], axis=1).sum()
        assert abs((mask == 3).sum() - np.linalg.norm(base) * np.linalg.norm(ahead) / 2) < 0.25 * length
        near, far = (np.hypot(columns - corner[0], rows - corner[1]) for corner in (left, right))
        assert (near < far)[half == 1].all()
        assert (near > far)[half == 2].all()
        assert np.allclose(near[half == -1], far[half == -1])
        assert ahead[0] * base[1] - ahead[1] * base[0] > 0  # y is down: the left corner is to the left of the tip
        if pose == "upright":
            assert np.isclose(left[1], right[1])
            assert tip[1] < left[1]


@pytest.mark.parametrize("size", [33, 34])
def test_mirrored_scenes_are_their_own_mirror_images(size: int) -> None:
    found = scenes(size=size, objects=2, mirrored=True, target="all")
    half = found.target_values["halves"]
    for maps in (found.leaves["image"], found.target_values["masks"]):
        assert torch.equal(maps, maps.flip(-1))
    swapped = torch.tensor([0, 2, 1, -1])[half]
    assert torch.equal(half, swapped.flip(-1))
    assert {1, 2} <= set(half.flatten().tolist())
    assert not torch.equal(scenes().leaves["image"], scenes().leaves["image"].flip(-1))


def test_scenes_are_what_they_are_on_every_machine() -> None:
    """The digest of pixels and of every target, which no sine and no order of sums may change."""
    digests = [scenes(pose="random", target="all", **more).digest() for more in ({}, {"seed": 1}, {"split": "train"})]
    assert len(set(digests)) == 3
    assert digests[0] == "cb012dc2106eaa40fa9a67b4fb94baf60a9dbfc59ebf5d30464e03ff33cf9f77"
    assert torch.equal(scenes(samples=7).leaves["image"], scenes(samples=7).leaves["image"])


def test_a_thousand_scenes_take_less_than_a_second() -> None:
    scenes(samples=2)
    start = time.process_time()
    image = scenes(samples=1000).leaves["image"]
    assert time.process_time() - start < 1
    assert image.shape == (1000, 1, 33, 33)
    assert image.dtype == torch.float32
    assert torch.equal(image, image.clamp(0, 1))
    assert len(image.unique(dim=0)) == 1000


@pytest.mark.parametrize("target", ["masks", "boxes"])
def test_all_shapes_occur_and_as_many_objects_as_were_asked_for(target: str) -> None:
    found = scenes(samples=200, target=target, objects=4).target_values
    if target == "masks":
        assert found["masks"].unique().tolist() == [0, 1, 2, 3]
    else:
        assert (found["boxes"][..., 5] >= 0).sum(1).unique().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objects": 10, "size": 33}, "10 objects need 40 pixels a side, and size is 33"),
        ({"objects": 4, "size": 33, "mirrored": True}, "4 objects need 40 pixels a side"),
        ({"mirrored": True, "pose": "random"}, "mirrored is of pose: upright"),
        ({"target": "mask"}, "got target 'mask'"),
        ({"samples": 0}, "got samples 0"),
    ],
)
def test_what_has_no_room_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        scenes(**options)
