"""What a dataset keeps of its samples: in 8 bits where it can be, and made into the very floats that a batch holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import photos
import pytest
import torch
from torch import Tensor

from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Aligned, Arrays, Batch, Dataset, Readable
from symbench.domains.common.datasets.padding import Padded
from symbench.domains.common.datasets.stored import Stored
from symbench.domains.images.datasets import arrays, digits, images
from symbench.fields import Axis, Category, Image, Scalar

RNG = np.random.default_rng(0)


def array(tmp_path: Path, pixels: np.ndarray, **options: object) -> Dataset:
    np.savez(tmp_path / "a.npz", images=pixels, labels=np.arange(len(pixels)))
    given = {"split": "test", "images": "images", "labels": "labels", "layout": "auto", **options}
    return arrays.load(path="a.npz", folder=tmp_path, **given)  # type: ignore[arg-type]


def eight_bits(tmp_path: Path) -> Dataset:
    return array(tmp_path, np.arange(768, dtype=np.uint16).reshape(3, 16, 16).astype(np.uint8))


def channels_last(tmp_path: Path) -> Dataset:
    return array(tmp_path, RNG.integers(0, 256, (4, 9, 9, 3), dtype=np.uint8))


def sixteen_bits(tmp_path: Path) -> Dataset:
    return array(tmp_path, RNG.integers(0, 65536, (4, 9, 9), dtype=np.uint16))


def other_range(tmp_path: Path) -> Dataset:
    return array(tmp_path, RNG.integers(0, 200, (4, 9, 9), dtype=np.uint8), range=(0, 200))


def folder(tmp_path: Path) -> Dataset:
    photos.folders(tmp_path / "photos", 6)
    return images.load(root="photos", split="test", labels="folders", channels=3, folder=tmp_path)


def in_memory(tmp_path: Path) -> Dataset:
    del tmp_path
    return digits.load(split="test", size=33)


def readable(tmp_path: Path) -> Dataset:
    whole = folder(tmp_path)
    whole.unusable = {1: "damaged"}
    return Readable(whole)


def aligned(tmp_path: Path) -> Dataset:
    return Aligned(folder(tmp_path), [7, 3])


def padded(tmp_path: Path) -> Dataset:
    del tmp_path
    field = Scalar().over(Axis("points"))
    values, labels = torch.rand(4, 5), torch.arange(4)
    sizes = {"points": [5, 3, 4, 1]}
    target = Category(4)
    return Padded(
        Arrays({"x": values}, {"label": labels}, fields={"x": field}, target_fields={"label": target}, sizes=sizes)
    )


KEPT: list[tuple[Callable[[Path], Dataset], Canvas | None, dict[str, torch.dtype]]] = [
    (eight_bits, None, {"image": torch.uint8}),
    (eight_bits, 16, {"image": torch.uint8}),
    (eight_bits, 9, {"image": torch.float32}),
    (channels_last, None, {"image": torch.uint8}),
    (sixteen_bits, None, {"image": torch.float32}),
    (other_range, None, {"image": torch.float32}),
    (folder, 9, {"image": torch.uint8}),
    (in_memory, None, {"image": torch.float32}),
    (readable, 9, {"image": torch.uint8}),
    (aligned, 9, {"image": torch.uint8}),
    (padded, None, {"x": torch.float32, "points_mask": torch.bool}),
]


@pytest.mark.parametrize(("make", "canvas", "kinds"), KEPT, ids=lambda x: getattr(x, "__name__", str(x)))
def test_what_is_kept_becomes_the_batch_bit_for_bit(
    tmp_path: Path, make: Callable[[Path], Dataset], canvas: Canvas | None, kinds: dict[str, torch.dtype]
) -> None:
    dataset = make(tmp_path)
    some = [2, 0, 1]
    batch, kept = dataset.batch(some, canvas=canvas), dataset.stored(some, canvas=canvas)
    assert kept is not None
    assert {name: leaf.dtype for name, leaf in kept.leaves.items()} == kinds
    for made in (kept.made(), in_rows(kept)):
        assert made.keys() == batch.leaves.keys()
        for name, leaf in made.items():
            assert leaf.dtype == batch.leaves[name].dtype
            assert torch.equal(leaf, batch.leaves[name]), name
    assert kept.targets.keys() == batch.targets.keys()
    assert all(torch.equal(values, batch.targets[name]) for name, values in kept.targets.items())


def in_rows(kept: Stored) -> dict[str, Tensor]:
    """Made row by row, as from what a device holds."""
    rows = [kept.made({name: leaf[i : i + 1] for name, leaf in kept.leaves.items()}) for i in range(3)]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def test_all_numbers_of_8_bits_are_divided_and_not_multiplied() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    made = Stored({"image": every}, {}, {"image": 255}).made()["image"]
    assert made.tolist() == [float(np.float32(i) / np.float32(255)) for i in range(256)]
    inverse = every.float() * (1 / np.float32(255)).item()
    assert not torch.equal(made, inverse), "multiplying by the inverse is another last bit"


def test_samples_that_are_made_in_a_way_of_their_own_are_not_kept() -> None:
    class Doubled(Arrays):
        def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
            found = super().batch(indices, canvas=canvas)
            return replace(found, leaves={name: leaf / 2 for name, leaf in found.leaves.items()})

    one = Doubled({"image": torch.rand(2, 1, 5, 5)}, {}, fields={"image": Image()}, target_fields={})
    assert one.stored([0]) is None
    assert Readable(one).stored([0]) is None
    assert Padded(one).stored([0]) is None
