"""Targets of data in code that are not what their fields declare: each is a sentence with dataset, target and sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import photos
import pytest
import torch
from conftest import Symbench

from symbench.base.errors import CellError, ConfigError
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Arrays, Batch, Dataset
from symbench.domains.common.datasets.fitting import check_declared, check_values
from symbench.fields import Boxes, Category, Field, Grid, Image

ON = Category(3).over(Grid("image"))
MAPS = torch.arange(4 * 6 * 8).reshape(4, 6, 8) % 3
ROWS = torch.tensor([[[1.0, 2, 8, 6, 1, 1], [0, 0, 0, 0, 0, -1]]] * 4)


def made(field: Field, values: torch.Tensor) -> Arrays:
    """Four images of 8 x 6 pixels with one target."""
    return Arrays(
        {"image": torch.zeros(4, 3, 6, 8)}, {"it": values}, fields={"image": Image()}, target_fields={"it": field}
    )


def changed(values: torch.Tensor, at: Any, new: Any) -> torch.Tensor:
    found = values.clone()
    found[at] = torch.as_tensor(new, dtype=values.dtype)
    return found


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        (Category(3).over(Grid("img")), MAPS, r"d: target 'it' stands on the grid 'img', which no leaf has, expected the grid of a leaf: 'image'"),
        (ON, MAPS[:, :5], r"target 'it' of sample 0 has 5 x 8 pixels, and its leaf 'image' 6 x 8, expected one size"),
        (ON, MAPS[:, None].repeat(1, 3, 1, 1), r"target 'it' of sample 0 has shape \(3, 6, 8\), expected a class index for each of its 6 x 8"),
        (ON, changed(MAPS, (2, 1, 1), 255), r"d, target 'it': sample 2 has class 255, expected 0 to 2, as 3 classes are declared"),
        (Category(3), torch.tensor([0, 1, 5, 2]), r"d, target 'it': sample 2 has class 5, expected 0 to 2, as 3 classes"),
        (Boxes(1), ROWS, r"d, target 'it': sample 0 has class 1, expected 0 to 0"),
        (Boxes(2), changed(ROWS, (3, 0, 2), 9), r"object 0 of sample 3 has the box 1, 2, 9, 6, expected one in its frame, 8 wide and 6 high"),
        (Boxes(2), changed(ROWS, (3, 0, 0), -1), r"object 0 of sample 3 has the box -1, 2, 8, 6, expected one in its frame"),
        (Boxes(2), changed(ROWS, (1, 0, 1), 7), r"object 0 of sample 1 has the box 1, 7, 8, 6, expected left < right and top"),
        (Boxes(2), changed(ROWS, (1, 0, 1), torch.nan), r"object 0 of sample 1 has the box 1, nan, 8, 6, expected left < right"),
        (Boxes(2, frame=(6, 7)), ROWS, r"object 0 of sample 0 has the box 1, 2, 8, 6, expected one in its frame, 7 wide and 6 high"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_runs(field: Field, values: torch.Tensor, message: str) -> None:
    with pytest.raises((CellError, ConfigError), match=message):
        check_declared(made(field, values), "d")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        (ON, changed(MAPS, (0, 0), -1)),
        (Category(), torch.tensor([0, 1, 5, 2])),
        (Boxes(2), changed(ROWS, (0, 0, 2), 8.0005)),
        (Boxes(2), changed(ROWS, (0, 1), [99, 9, 0, 0, 0, -1])),
        (Boxes(2, frame=(60, 80)), changed(ROWS, (0, 0, 2), 70)),
    ],
)
def test_what_can_be_is_taken(field: Field, values: torch.Tensor) -> None:
    check_declared(made(field, values), "d")


class Late(Dataset):
    """Reads one by one, so that only a batch shows what is in it."""

    def __init__(self) -> None:
        self.fields, self.targets = {"image": Image()}, {"it": Category(2)}

    def __len__(self) -> int:
        return 4

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """Labels 0, 1, 2 and 3."""
        del canvas
        return Batch({"image": torch.rand(len(indices), 3, 6, 6)}, {"it": torch.tensor(list(indices))})

    def digest(self) -> str:
        """None of its contents."""
        return "late"


def test_what_only_a_batch_shows_is_refused_with_its_sample() -> None:
    data = Late()
    check_declared(data, "d")
    with pytest.raises(CellError, match="d: sample 3 has class 3, expected 0 to 1"):
        check_values(data.targets["it"], data.batch([0, 3]).targets["it"], None, [0, 3], "d")


def test_a_suite_says_so(tmp_path: Path, symbench: Symbench) -> None:
    path = photos.suite(tmp_path, 'use: "data.py:load"')
    code = (
        "import torch\nfrom symbench.domains.common.datasets.base import Arrays\n"
        "from symbench.fields import Category, Image\n\n\ndef load():\n    return Arrays({'image': torch.rand(4, 3, 8, 8)}, "
        "{'kind': torch.tensor([0, 1, 7, 1])}, fields={'image': Image()}, target_fields={'kind': Category(2)})\n"
    )
    (tmp_path / "data.py").write_text(code)
    done = symbench("validate", str(path))
    assert done.code == 2
    assert (
        "datasets.photos, target 'kind': sample 2 has class 7, expected 0 to 1, as 2 classes are declared" in done.err
    )
    # by batches, where the dataset is none of arrays
    (tmp_path / "data.py").write_text(
        code.replace("return Arrays", "return Own")
        + "\n\nclass Own(Arrays):\n    def batch(self, indices, *, canvas=None):\n"
        "        return super().batch(indices, canvas=canvas)\n"
    )
    done = symbench("run", str(path))
    assert done.code == 3
    assert "photos, target 'kind': sample 2 has class 7, expected 0 to 1" in done.err + done.out


def test_inputs_that_are_names_alone_are_refused(tmp_path: Path, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 4)
    path = photos.suite(tmp_path)
    with (tmp_path / "model.py").open("a") as file:
        file.write(
            "\n\nplain = build\n\n\ndef build():\n    found = plain()\n    found.inputs = ['image']\n    return found\n"
        )
    done = symbench("validate", str(path))
    assert done.code != 0
    assert "declares inputs as names alone, 'image', expected a mapping from names to fields" in done.err + done.out
