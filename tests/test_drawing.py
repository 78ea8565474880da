"""Outputs drawn over images, and the samples that break worst on maps: the right pixels, the right samples."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Symbench
from PIL import Image as Pil
from torch import Tensor

from symbench import open_run
from symbench.algebra.fields import Boxes, Category, Field, Grid, Keypoints, Scalar
from symbench.domains.images.drawing import COLOURS, OTHER, SIDE, UNKNOWN, colour
from symbench.domains.images.drawing import drawn as draw
from symbench.measure.evaluate.gallery import worst_of
from symbench.read.report import gallery

MAPS = Category(4).over(Grid("image"))
BLACK = torch.zeros(1, 4, 4)
TIMES = SIDE // 4


def drawn(value: Tensor, field: Field, other: Tensor | None = None, image: Tensor = BLACK) -> np.ndarray:
    found = draw(image, value, field, other)
    assert found is not None
    return np.asarray(Pil.open(io.BytesIO(found))).astype(int)


def rgb(code: str) -> np.ndarray:
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)])


def test_classes_are_colours_and_the_ground_is_the_images_own() -> None:
    value = torch.tensor([[0, 1, 2, 3], [-1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
    for image in (BLACK, torch.full((3, 4, 4), 0.4)):
        got = drawn(value, MAPS, image=image)[TIMES // 2 :: TIMES, TIMES // 2 :: TIMES]
        ground = round(255 * float(image[0, 0, 0]))
        for place in np.ndindex(4, 4):
            label = int(value[place])
            over = rgb(UNKNOWN if label < 0 else colour(label)) if label else np.full(3, ground)
            assert np.abs(got[place] - (0.6 * over + 0.4 * ground)).max() <= 1
    assert len({colour(label) for label in range(1, 151)}) == 150


def test_where_maps_differ_is_marked_and_what_is_unknown_is_not() -> None:
    one = torch.tensor([[0, 1, 2, -1]] * 4)
    two = torch.tensor([[0, 2, 2, 1]] * 4)
    got = drawn(one, MAPS, two)[TIMES // 2 :: TIMES, TIMES // 2 :: TIMES]
    for column, over in enumerate((None, OTHER, None, UNKNOWN)):
        assert np.abs(got[:, column] - (0 if over is None else 0.6 * rgb(over))).max() <= 1


def test_differences_are_marked_over_grey_where_no_image_is_taken_for_a_mark() -> None:
    """An image as red as the mark: only where maps differ is anything coloured."""
    red = (torch.tensor(rgb(OTHER)) / 255).view(3, 1, 1).expand(3, 4, 4)
    one, two = torch.zeros(4, 4, dtype=torch.int64), torch.zeros(4, 4, dtype=torch.int64)
    two[1, 2] = 1
    got = drawn(one, MAPS, two, image=red)[TIMES // 2 :: TIMES, TIMES // 2 :: TIMES]
    coloured = np.argwhere(np.ptp(got, axis=-1) > 0)
    assert coloured.tolist() == [[1, 2]]
    assert np.ptp(drawn(one, MAPS, image=red), axis=-1).min() > 0  # by itself the image keeps its colours


def test_boxes_are_outlines_about_their_pixels() -> None:
    rows = torch.tensor([[1.0, 2.0, 3.0, 4.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, -1.0]])
    got = drawn(rows, Boxes(3))
    where = np.argwhere((got == rgb(COLOURS[0])).all(-1))
    assert where.min(0).tolist() == [2 * TIMES, TIMES]
    assert where.max(0).tolist() == [4 * TIMES - 1, 3 * TIMES - 1]
    assert not got[0].any()
    both = drawn(rows, Boxes(3), rows + torch.tensor([0.0, -1, 0, -1, 0, 0]))
    assert len({tuple(pixel) for pixel in both.reshape(-1, 3)}) == 3


@pytest.mark.parametrize(("origin", "at"), [("corner", 1.5), ("centre", 1.0)])
def test_points_are_marks_at_the_centres_of_their_pixels(origin: str, at: float) -> None:
    points = torch.tensor([[at, at, 1.0], [torch.nan, 0.0, 1.0]])
    where = np.argwhere(drawn(points, Keypoints(origin=origin)).any(-1))  # type: ignore[arg-type]
    assert np.abs(where.mean(0) + 0.5 - 1.5 * TIMES).max() <= 1


def test_what_cannot_be_drawn_is_left() -> None:
    assert draw(BLACK, torch.rand(1, 4, 4), Scalar().over(Grid("image"))) is None
    assert draw(torch.zeros(2, 4, 4), torch.zeros(4, 4, dtype=torch.int64), MAPS) is None
    assert draw(BLACK, torch.zeros(3, 3, dtype=torch.int64), MAPS) is None


def test_of_maps_what_is_no_longer_right_is_worst_and_then_what_is_not_kept() -> None:
    """Three samples at one element: one loses a tenth of what is right, one changes much and is as right, one less."""
    columns = {
        "deviation_sq": np.array([[0, 0, 0], [1.0, 9.0, 4.0]]),
        "place_right": np.array([[0.9, 0.5, np.nan], [0.4, 0.5, np.nan]]),
        "place_kept": np.array([[1.0, 1.0, 1.0], [0.5, 0.1, 0.6]]),
        "valid": np.ones((2, 3)),
    }
    found = worst_of(columns, [10, 11, 12])
    assert [each.sample for each in found] == [10, 11, 12]
    assert found[0].shares == {"kept": 0.5, "right_before": 0.9, "right_after": 0.4}


MODEL = """\
import torch
from torch import nn
from symbench.fields import Grid, Logits


class Upper(nn.Module):
    outputs = {"masks": Logits().over(Grid("image"))}

    def forward(self, x):
        half = torch.zeros_like(x)
        half[..., : x.shape[-2] // 2, :] = 1
        ink = (x > 0.5) * half
        return torch.cat([1 - ink, ink, torch.zeros_like(x.expand(-1, 2, -1, -1))], 1)


build = Upper
"""
SUITE = """\
version: 1
name: maps
datasets: {masks: {use: scenes, size: 20, samples: 6, objects: 1}}
models: {upper: {use: "model.py:build"}}
symmetries:
  turns: {group: C4, on: image}
  shifts: {group: translations, on: image, reach: 6, border: zero, elements: 3}
numerics: {device: cpu}
"""


def test_the_gallery_of_maps_shows_four_pictures_of_what_the_model_said(tmp_path: Path, symbench: Symbench) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "maps.yaml").write_text(SUITE)
    ran = symbench("run", tmp_path / "maps.yaml", "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    run = open_run(results=tmp_path / "results")
    times = SIDE // 20
    for cell in run.manifest.cells:
        record, table = run.store.cell(cell.key), run.store.gallery(cell.key)
        assert record is not None
        assert table is not None
        numbers = {element.label: element.element for element in record.elements}
        rows = run.store.observations(cell.key).to_pandas().set_index(["sample", "element"])
        for row in table.to_pylist():
            seen = rows.loc[(row["sample"], numbers[row["element"]])]
            assert (row["kept"], row["right_after"]) == (seen["place_kept"], seen["place_right"])
            pictures = {
                name: np.asarray(Pil.open(io.BytesIO(row[f"drawn_{name}"])))[times // 2 :: times, times // 2 :: times]
                for name in ("before", "moved", "after", "apart")
            }
            said = np.asarray(Pil.open(io.BytesIO(row["image_after"]))) > 127
            said[10:] = False
            coloured = {name: np.ptp(picture.astype(int), axis=-1) > 20 for name, picture in pictures.items()}
            assert (coloured["after"] == said).all()
            red, green, blue = np.moveaxis(pictures["apart"].astype(int), -1, 0)
            apart, unknown = red - green > 40, (blue - red > 4) & (blue - red < 12)
            assert np.isclose(1 - apart.sum() / (400 - unknown.sum()), row["kept"])
            assert unknown.any() == (cell.symmetry == "shifts")
    walls = gallery.walls([(run.store, run.manifest, {"upper": "upper"})])
    (shown, *_) = walls[0].samples
    assert [view for view, _ in shown.drawn] == ["as it was", "as moved", "as predicted", "where they differ"]
    assert [name for name, _ in shown.shares] == ["right", "as moved"]


SETS = """\
import torch
from torch import nn
from symbench.fields import Boxes, Keypoints


class Corner(nn.Module):
    outputs = {"boxes": Boxes(3)}

    def forward(self, x):
        return x.new_tensor([[2.0, 3.0, 8.0, 6.0, 0.9, 1.0]]).expand(len(x), 1, 6)


class Points(nn.Module):
    outputs = {"keypoints": Keypoints(((1, 2),))}

    def forward(self, x):
        return x.new_tensor([[5.0, 4.0], [3.0, 9.0], [8.0, 9.0]]).expand(len(x), 3, 2)
"""
SUITE_OF_SETS = """\
version: 1
name: sets
datasets:
  boxes: {use: scenes, size: 20, samples: 3, objects: 1, target: boxes}
  points: {use: scenes, size: 20, samples: 3, objects: 1, target: keypoints}
models:
  corner: {use: "model.py:Corner", only: {dataset: boxes}}
  points: {use: "model.py:Points", only: {dataset: points}}
symmetries: {flip: {group: D1, on: image}}
numerics: {device: cpu}
"""


def test_the_gallery_of_boxes_and_points_moves_them_along(tmp_path: Path, symbench: Symbench) -> None:
    """Models that say one thing of every image: moved along it is the mirror image, with left and right exchanged."""
    (tmp_path / "model.py").write_text(SETS)
    (tmp_path / "sets.yaml").write_text(SUITE_OF_SETS)
    ran = symbench("run", tmp_path / "sets.yaml", "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    run = open_run(results=tmp_path / "results")
    box = torch.tensor([[2.0, 3.0, 8.0, 6.0, 0.9, 1.0]])
    points = torch.tensor([[5.0, 4.0], [3.0, 9.0], [8.0, 9.0]])
    flipped = torch.tensor([[15.0, 4.0], [12.0, 9.0], [17.0, 9.0]])
    said: dict[str, tuple[Field, Tensor, Tensor]] = {
        "boxes": (Boxes(3), box, torch.tensor([[12.0, 3.0, 18.0, 6.0, 0.9, 1.0]])),
        "points": (Keypoints(), points, flipped),
    }
    for cell in run.manifest.cells:
        table = run.store.gallery(cell.key)
        assert table is not None
        field, here, there = said[cell.dataset]
        for row in table.to_pylist():
            levels = np.array(Pil.open(io.BytesIO(row["image_after"])))
            image = torch.from_numpy(levels)[None].float() / 255
            pictures = (("moved", there, None), ("after", here, None), ("apart", there, here))
            for name, value, other in pictures:
                got = np.asarray(Pil.open(io.BytesIO(row[f"drawn_{name}"]))).astype(int)
                assert (got == drawn(value, field, other, image)).all(), (cell.dataset, name)
