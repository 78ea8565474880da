"""Targets that stand on images follow them to a canvas: against loops, and against torchvision's own transforms."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
import torch
from PIL import Image as Pil
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from symbench.algebra.fields import Boxes, Category, Flow, Grid, Keypoints, Scalar
from symbench.base.errors import DataError
from symbench.domains.common.canvas import Canvas, Frame
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.images.datasets.decode import LONG, framed
from symbench.domains.images.datasets.following import followed
from symbench.domains.images.fields import Image

GRID = Grid("image")
SIZES = [(10, 14), (15, 9), (8, 8), (7, 23)]
CANVASES: list[Canvas] = [6, 11, Frame(5, 8), Frame(6, (9, 7)), Frame(6, 9, crop="floor")]


def placed(frame: Frame, height: int, width: int) -> tuple[int, int, int, int]:
    """Height and width that torchvision resizes to, and the corner that it crops at."""
    if isinstance(frame.resize, int):
        short = min(height, width)
        tall, wide = (int(frame.resize * side / short) for side in (height, width))
    else:
        tall, wide = frame.resize
    down, right = (tall - frame.side) / 2, (wide - frame.side) / 2
    return (tall, wide, *((round(down), round(right)) if frame.crop == "round" else (int(down), int(right))))


@pytest.mark.parametrize(("size", "canvas"), list(product(SIZES, CANVASES)))
def test_a_place_of_a_label_map_has_the_class_that_its_centre_lies_in(size: tuple[int, int], canvas: Canvas) -> None:
    maps = torch.randint(-1, 30_000, (2, *size), generator=torch.Generator().manual_seed(0))
    frame = Frame.of(canvas)
    tall, wide, down, right = placed(frame, *size)
    expected = torch.empty(2, frame.side, frame.side, dtype=torch.int64)
    for r, c in product(range(frame.side), repeat=2):
        row, column = (
            Fraction(2 * (r + down) + 1, 2) * size[0] / tall,
            Fraction(2 * (c + right) + 1, 2) * size[1] / wide,
        )
        expected[:, r, c] = maps[:, int(row), int(column)]
    found = followed(Category().over(GRID), maps, size, canvas)
    assert torch.equal(found, maps if size == (canvas, canvas) else expected)


@pytest.mark.parametrize(("size", "side"), [((10, 14), 5), ((15, 9), 3), ((9, 9), 27), ((12, 20), 7)])
def test_label_maps_are_where_torchvision_has_them(size: tuple[int, int], side: int) -> None:
    maps = torch.randint(0, 200, (1, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    resized = functional.resize(maps, [side], interpolation=InterpolationMode.NEAREST_EXACT)
    expected = functional.center_crop(tv_tensors.Mask(resized), [side, side])
    assert torch.equal(followed(Category().over(GRID), maps.long(), size, side), expected.long())


def rows(boxes: Tensor) -> list[list[float]]:
    return [row[:4] for row in boxes.tolist() if row[5] >= 0]


@pytest.mark.parametrize(("size", "side"), [((10, 14), 5), ((15, 9), 6), ((64, 100), 32), ((30, 20), 40)])
def test_boxes_are_where_torchvision_has_them(size: tuple[int, int], side: int) -> None:
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(20, 2, 2, generator=generator, dtype=torch.float64) * torch.tensor([size[1], size[0]])
    edges = torch.cat([corners.amin(1), corners.amax(1)], 1)
    classes = torch.arange(20, dtype=torch.float64)[:, None]
    boxes = torch.cat([edges, torch.ones(20, 1), classes], 1)[None]
    theirs = v2.Compose([v2.Resize(side), v2.CenterCrop(side)])(
        tv_tensors.BoundingBoxes(edges, format="XYXY", canvas_size=size)
    )
    kept = [i for i, (a, b, c, d) in enumerate(theirs.tolist()) if c > a and d > b]
    found = followed(Boxes(20), boxes, size, side)[0]
    assert [int(row[5]) for row in found.tolist()] == [*kept, *[-1] * (20 - len(kept))]
    # torchvision resizes by what the integers of the new size make of the old, and so do we: to rounding.
    torch.testing.assert_close(torch.tensor(rows(found)), torch.tensor(theirs.tolist())[kept], rtol=1e-5, atol=1e-4)
    assert all(row == [0, 0, 0, 0, 0, -1] for row in found.tolist()[len(kept) :])


def test_points_are_where_torchvision_has_them_and_beyond_the_canvas_not_visible() -> None:
    key_points = getattr(tv_tensors, "KeyPoints", None)
    points = torch.tensor([[2.0, 5], [9, 5], [13.5, 9.5], [7, 0]], dtype=torch.float64)
    seen = torch.cat([points, torch.tensor([[1.0], [1], [1], [0]])], 1)[None]
    found = followed(Keypoints(), seen, (10, 14), 5)[0]
    assert found.tolist() == [[0, 2.5, 1], [3.5, 2.5, 1], [5.75, 4.75, 0], [2.5, 0, 0]]
    if key_points is not None:
        resized = v2.Resize(5)(key_points(points, canvas_size=(10, 14)))
        torch.testing.assert_close(found[:, :2], resized.as_subclass(Tensor) - torch.tensor([1.0, 0]))


def test_the_first_pixels_centre_stays_the_origin_where_it_was() -> None:
    centre = followed(Keypoints(origin="centre"), torch.tensor([[[0.0, 0.0, 1.0]]]), (4, 4), 8)
    corner = followed(Keypoints(), torch.tensor([[[0.5, 0.5, 1.0]]]), (4, 4), 8)
    assert centre.tolist() == [[[0.5, 0.5, 1]]]
    assert corner.tolist() == [[[1, 1, 1]]]


def test_flow_is_longer_on_a_finer_canvas_and_numbers_are_not() -> None:
    flow = torch.ones(1, 2, 4, 6) * torch.tensor([3.0, -2.0])[:, None, None]
    found = followed(Flow().over(GRID), flow, (4, 6), Frame(6, (8, 6)))
    torch.testing.assert_close(found, torch.ones(1, 2, 6, 6) * torch.tensor([3.0, -4.0])[:, None, None])
    depth = torch.full((2, 1, 4, 4), 7.0)
    torch.testing.assert_close(followed(Scalar().over(GRID), depth, (4, 4), 8), torch.full((2, 1, 8, 8), 7.0))


@pytest.mark.parametrize(
    ("size", "canvas"), list(product([(16, 24), (30, 10), (4, 90), (101, 5)], [8, Frame(8, 10)]))
)
def test_a_box_stays_about_what_is_painted_into_the_picture(size: tuple[int, int], canvas: Canvas) -> None:
    """Of strips too, which lose their ends before they are resized: the box about the painted pixels, to a pixel."""
    height, width = size
    picture = Pil.new("L", (width, height))
    left, top, right, bottom = width // 2 - 2, height // 2 - 1, width // 2 + 1, height // 2 + 2
    picture.paste(255, (left, top, right, bottom))
    seen = torch.from_numpy(framed(picture, canvas))[0] > 127
    box = followed(Boxes(), torch.tensor([[[left, top, right, bottom, 1.0, 0.0]]]), size, canvas, longest=LONG)[0, 0]
    down, right_ = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    about = [int(right_[0]), int(down[0]), int(right_[-1]) + 1, int(down[-1]) + 1]
    assert all(abs(mine - theirs) <= 0.75 for mine, theirs in zip(box[:4].tolist(), about, strict=True)), (box, about)


def test_a_dataset_in_memory_brings_its_targets_along() -> None:
    images = torch.rand(3, 1, 8, 12, generator=torch.Generator().manual_seed(0))
    masks = (images[:, 0] > 0.5).long()
    boxes = torch.tensor([[[0.0, 0, 4, 4, 1, 0], [6, 2, 8, 6, 1, 1]]] * 3, dtype=torch.float64)
    data = Arrays(
        {"image": images},
        {"masks": masks, "boxes": boxes, "label": torch.tensor([0, 1, 2])},
        fields={"image": Image()},
        target_fields={"masks": Category(2).over(GRID), "boxes": Boxes(2), "label": Category(3)},
    )
    batch = data.batch([2, 0], canvas=4)
    assert torch.equal(batch.targets["masks"], masks[[2, 0]][:, 1::2, 3:11:2])
    assert batch.targets["boxes"][0].tolist() == [[0, 0, 1, 2, 1, 0], [2, 1, 3, 3, 1, 1]]
    assert batch.targets["label"].tolist() == [2, 0]
    unmoved = data.batch([2, 0])
    assert torch.equal(unmoved.targets["boxes"], boxes[:2])
    stored = data.stored([2, 0], canvas=4)
    assert stored is not None
    assert torch.equal(stored.targets["masks"], batch.targets["masks"])


def test_a_map_of_another_size_than_its_image_is_refused() -> None:
    with pytest.raises(DataError, match=r"a map of 4 x 4 pixels belongs to an image of 8 x 8, expected one size"):
        followed(Category().over(GRID), torch.zeros(1, 4, 4, dtype=torch.int64), (8, 8), 6)
