"""Data of volumes: synthetic ones against their definition, files against nibabel and NumPy, and what is refused."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Symbench
from PIL import Image as Pil
from pydantic import ValidationError
from scipy import ndimage

from symbench.algebra.fields import Category, Classes
from symbench.base.errors import ConfigError, DataError
from symbench.base.registry import checked_options
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.handling import handling_of
from symbench.fields import Grid, Image, Logits, Scalar, Volume

RNG = np.random.default_rng(0)


def load(name: str, folder: Path = Path(), **options: Any) -> Dataset:
    row = DATASETS.row(name)
    arguments = checked_options(row.options, options, "data").model_dump()
    found = row.load()(**arguments, **({} if name == "organs" else {"folder": folder}))
    assert isinstance(found, Dataset)
    return found


def everything(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    batch = data.batch(range(len(data)))
    return batch.leaves["volume"].numpy(), batch.targets["label"].numpy()


# Synthetic volumes.


def test_places_inside_a_blob_are_those_above_half_its_height() -> None:
    volumes, inside = everything(load("organs", samples=9, noise=0.0))
    assert np.array_equal(volumes[:, 0] > 0.5, inside == 1)
    assert 0.01 < inside.mean() < 0.3


def test_left_is_left_and_the_plane_between_is_of_neither() -> None:
    volumes, sides = everything(load("organs", samples=6, noise=0.0, label="sides", shape=[8, 8, 9]))
    inside = volumes[:, 0] > 0.5
    assert set(np.unique(sides[..., :4][inside[..., :4]])) == {1}
    assert set(np.unique(sides[..., 5:][inside[..., 5:]])) == {2}
    assert set(np.unique(sides[..., 4])) <= {-1, 0}
    assert np.array_equal(sides == 0, ~inside)


def test_blobs_are_counted() -> None:
    volumes, number = everything(load("organs", samples=12, noise=0.0, label="number", shape=[20, 20, 20]))
    assert np.bincount(number).tolist() == [4, 4, 4]
    for volume, count in zip(volumes[:, 0], number, strict=True):
        assert ndimage.label(volume > 0.5)[1] == count + 1


def test_blobs_are_round_in_space() -> None:
    data = load("organs", samples=12, noise=0.0, label="number", shape=[12, 48, 48], spacing=[4, 1, 1])
    volumes, number = everything(data)
    one = volumes[number == 0][0, 0]
    spread = [np.average((np.arange(n) - np.average(np.arange(n), weights=p)) ** 2, weights=p) for n, p in _sums(one)]
    assert 16 * spread[0] == pytest.approx(spread[1], rel=0.35)  # cut at the edge of the frame, here and there


def _sums(volume: np.ndarray) -> list[tuple[int, np.ndarray]]:
    clear = np.where(volume > 0.2, volume, 0)
    return [(n, clear.sum(tuple(i for i in range(3) if i != axis))) for axis, n in enumerate(volume.shape)]


def test_symmetric_volumes_are_their_own_mirror_images() -> None:
    volumes, sides = everything(load("organs", samples=4, label="sides", symmetric=True))
    assert np.array_equal(volumes, volumes[..., ::-1])
    swapped = np.where(sides > 0, 3 - sides, sides)
    assert np.array_equal(swapped, sides[..., ::-1])


def test_what_is_said_of_sides_is_a_declaration_for_mirrors() -> None:
    field = load("organs", samples=4, label="sides", mirrors="xz", spacing=[2, 1, 1]).targets["label"]
    assert isinstance(field.value, Classes)
    assert [name for name, _ in field.value.generators] == ["mirror-x", "mirror-z"]
    assert field.grid == Grid("volume", 3, (2.0, 1.0, 1.0))
    assert load("organs", samples=4, label="sides").targets["label"].value == Category(3)
    train, test = load("organs", samples=4, split="train"), load("organs", samples=4)
    assert train.digest() != test.digest()


# Arrays.


def test_arrays_are_read_as_they_are(tmp_path: Path) -> None:
    volumes = RNG.normal(size=(5, 3, 4, 6)).astype(np.float32)
    maps = RNG.integers(0, 3, size=volumes.shape)
    maps[0, 0, 0, 0] = 255
    np.savez(tmp_path / "a.npz", volumes=volumes, seg=maps, kind=np.arange(5) % 2)
    data = load("volume-arrays", tmp_path, path="a.npz", labels="seg", ignore=255, spacing=[5, 1, 1])
    found, labels = everything(data)
    assert np.array_equal(found[:, 0], volumes)
    assert np.array_equal(labels, np.where(maps == 255, -1, maps))
    assert labels.dtype == np.int64
    assert data.targets["label"] == Category(3).over(Grid("volume", 3, (5.0, 1.0, 1.0)))
    assert data.fields == {"volume": Volume((5.0, 1.0, 1.0))}
    classes = load("volume-arrays", tmp_path, path="a.npz", labels="kind")
    assert classes.targets["label"] == Category(2)
    assert classes.digest() != load("volume-arrays", tmp_path, path="a.npz", labels="kind", standardise=True).digest()


def test_an_array_of_several_channels_can_be_standardised(tmp_path: Path) -> None:
    volumes = RNG.integers(0, 200, size=(3, 2, 4, 4, 4)).astype(np.uint8)
    volumes[0, 0] = 7
    np.save(tmp_path / "a.npy", volumes)
    found = load("volume-arrays", tmp_path, path="a.npy", standardise=True).batch([0, 2]).leaves["volume"].numpy()
    assert found.shape == (2, 2, 4, 4, 4)
    assert not found[0, 0].any()
    for channel in (found[0, 1], found[1, 0], found[1, 1]):
        assert (channel.mean(), channel.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-5))


# Files.


def nifti(file: Path, values: np.ndarray, affine: np.ndarray) -> None:
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(values, affine), file)


def test_nifti_files_are_brought_into_the_patients_axes(tmp_path: Path) -> None:
    """A bright place at the patient's left, back and top is found there however the file stores its axes."""
    right, front, up = 4, 5, 6
    stored = np.zeros((right, front, up), dtype=np.float32)
    stored[0, 0, -1] = 1.0
    nifti(tmp_path / "a.nii.gz", stored, np.diag([2.0, 2.0, 5.0, 1.0]))
    turned = stored[::-1, ::-1].transpose(2, 0, 1).copy()  # up, left, back
    affine = np.array([[0, -2.0, 0, 0], [0, 0, -2.0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]])
    nifti(tmp_path / "b.nii", turned, affine)
    data = load("volumes", tmp_path, root=".")
    assert data.fields == {"volume": Volume((5.0, 2.0, 2.0))}
    volumes = data.batch([0, 1]).leaves["volume"]
    assert volumes.shape == (2, 1, up, front, right)
    assert torch.equal(volumes[0], volumes[1])
    assert volumes[0, 0].nonzero().tolist() == [[up - 1, front - 1, 0]]  # above, low in the slice, and left


def test_label_maps_stand_beside_their_volumes(tmp_path: Path) -> None:
    maps = {}
    for name in ("one", "two"):
        nifti(tmp_path / f"{name}.nii.gz", RNG.normal(size=(3, 4, 5)), np.eye(4))
        maps[name] = RNG.integers(0, 4, size=(3, 4, 5)).astype(np.uint8)
        nifti(tmp_path / f"{name}_seg.nii.gz", maps[name], np.eye(4))
    data = load("volumes", tmp_path, root=".", labels="maps")
    assert (len(data), data.called(1), data.targets["label"].value) == (2, "two.nii.gz", Category(4))
    assert np.array_equal(everything(data)[1][1], maps["two"].transpose(2, 1, 0)[:, ::-1])
    assert "2 files that end with _seg are not used" in load("volumes", tmp_path, root=".").remarks()[0]


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    for number, name in enumerate(("b", "a", "a")):
        (tmp_path / name).mkdir(exist_ok=True)
        np.save(tmp_path / name / f"{number}.npy", np.full((3, 3, 3), number))
    data = load("volumes", tmp_path, root=".", labels="folders")
    volumes, labels = everything(data)
    assert (data.classes, labels.tolist()) == (["a", "b"], [0, 0, 1])
    assert volumes[:, 0, 0, 0, 0].tolist() == [1, 2, 0]


# What is refused.


def _files(folder: Path, **arrays: Any) -> None:
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)


def _nifti_of_two(folder: Path) -> None:
    nifti(folder / "a.nii", np.zeros((3, 3, 3)), np.eye(4))
    nifti(folder / "b.nii", np.zeros((3, 3, 3)), np.diag([1.0, 1.0, 3.0, 1.0]))


CUBE = np.zeros((2, 3, 3, 3))
REFUSED: dict[str, tuple[Callable[[Path], object], str, dict[str, Any], str]] = {
    "mixed shapes": (lambda f: _files(f, a=np.zeros((3, 3, 3)), b=np.zeros((3, 3, 4))), "volumes", {"root": "."}, "b.npy has 1 x 3 x 3 x 4 numbers, and a.npy 1 x 3 x 3 x 3, expected volumes of one shape. Crop or resample"),
    "mixed spacing": (_nifti_of_two, "volumes", {"root": "."}, "places of b.nii are at distances 3 x 1 x 1, and of a.nii nobody knows, expected one spacing"),
    "an image": (lambda f: _files(f, a=np.zeros((3, 3))), "volumes", {"root": "."}, r"a.npy has shape \(3, 3\), expected \(d, h, w\)"),
    "images": (lambda f: _files(f, a=np.zeros((5, 3, 3))), "volume-arrays", {"path": "a.npy"}, r"volumes have shape \(5, 3, 3\), expected \(n, d, h, w\) or \(n, c, d, h, w\). Images are read by the dataset arrays"),
    "an empty file": (lambda f: (f / "a.nii").touch(), "volumes", {"root": "."}, "a.nii is empty, expected a volume"),
    "a broken file": (lambda f: (f / "a.nii").write_bytes(b"no"), "volumes", {"root": "."}, "a.nii"),
    "an empty array": (lambda f: _files(f, a=np.zeros((0, 3, 3, 3))), "volume-arrays", {"path": "a.npy"}, "is empty, expected at least one sample"),
    "no files": (lambda f: None, "volumes", {"root": "."}, "no volumes below .* expected files that end in .nii, .nii.gz, .npy"),
    "no label map": (lambda f: _files(f, a=np.zeros((3, 3, 3))), "volumes", {"root": ".", "labels": "maps"}, "a.npy has no label map a_seg.npy beside it"),
    "a map of another shape": (lambda f: _files(f, a=np.zeros((3, 3, 3)), a_seg=np.zeros((3, 3, 4))), "volumes", {"root": ".", "labels": "maps"}, "label maps are of 3 x 3 x 4 places, and their volumes of 3 x 3 x 3"),
    "maps of fractions": (lambda f: _files(f, a=np.zeros((3, 3, 3)), a_seg=np.full((3, 3, 3), 0.5)), "volumes", {"root": ".", "labels": "maps"}, "label maps hold other numbers than whole ones"),
    "a map below 0": (lambda f: _files(f, a=np.zeros((3, 3, 3)), a_seg=np.full((3, 3, 3), -1)), "volumes", {"root": ".", "labels": "maps"}, "got label -1, expected class indices, 0 or more. Say ignore: -1"),
    "maps for other volumes": (lambda f: np.savez(f / "a.npz", volumes=CUBE, seg=CUBE[:, :2]), "volume-arrays", {"path": "a.npz", "labels": "seg"}, "label maps are of 2 x 3 x 3 places"),
    "too few labels": (lambda f: np.savez(f / "a.npz", volumes=CUBE, k=np.zeros(3)), "volume-arrays", {"path": "a.npz", "labels": "k"}, r"labels have shape \(3,\), expected \(2,\), or maps of 3 x 3 x 3 places"),
    "another key": (lambda f: np.savez(f / "a.npz", volume=CUBE), "volume-arrays", {"path": "a.npz"}, "a.npz has no array 'volumes', expected one of volume. Did you mean 'volume'"),
    "a loose volume": (lambda f: _files(f, a=np.zeros((3, 3, 3))), "volumes", {"root": ".", "labels": "folders"}, "a.npy stands in no folder, expected a sub-folder for each class"),
    "another file": (lambda f: (f / "a.txt").touch(), "volume-arrays", {"path": "a.txt"}, "got a.txt, expected a file that ends in .npz or .npy"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(REFUSED))
def test_bad_data_is_answered_in_a_sentence(what: str, tmp_path: Path) -> None:
    made, name, options, message = REFUSED[what]
    made(tmp_path)
    with pytest.raises((ConfigError, DataError), match=message):
        load(name, tmp_path, **options)


@pytest.mark.parametrize("spacing", [[1, 1], [1, 1, -5], [0, 1, 1], "1", [1, 1, float("inf")]])
def test_spacing_is_three_distances(spacing: object) -> None:
    with pytest.raises(ConfigError, match="three distances above 0, of d, h and w, such as"):
        load("organs", spacing=spacing)
    with pytest.raises(ValueError, match="three distances above 0"):
        Volume((1.0, 1.0, -5.0))


def test_mirrors_are_of_sides() -> None:
    with pytest.raises((ConfigError, ValidationError), match="mirrors is of label: sides, and says nothing of label"):
        load("organs", mirrors="x")


def test_numbers_that_are_not_finite_name_their_sample(tmp_path: Path) -> None:
    _files(tmp_path, a=np.array([np.zeros((3, 3, 3)), np.full((3, 3, 3), np.nan)]))
    with pytest.raises(DataError, match="sample 1: holds numbers that are not finite"):
        load("volume-arrays", tmp_path, path="a.npy").batch([0, 1])


def test_without_nibabel_the_command_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.nii").write_bytes(b"any")
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ConfigError, match=r'needs the package nibabel.*pip install "symbench\[volumes\]"'):
        load("volumes", tmp_path, root=".")


# What is shown of them.


def test_the_middle_slice_is_shown() -> None:
    volume = torch.zeros(1, 5, 4, 6)
    volume[0, 2, 1, 4] = 80.0
    handling = handling_of(Volume())
    picture = handling.rendered(volume)
    assert picture is not None
    pixels = np.asarray(Pil.open(io.BytesIO(picture)))
    assert pixels.shape == (4, 6)
    assert (pixels == 255).nonzero() == (1, 4)
    assert handling.rendered(torch.zeros(2, 5, 4, 6)) is None
    maps = torch.zeros(5, 4, 6, dtype=torch.int64)
    maps[2, 1, 4] = 1
    over = handling.drawn(volume, maps, Logits().over(Grid("volume", 3)))
    flat = handling_of(Image()).drawn(volume[:, 2] / 80, maps[2], Logits().over(Grid("image")))
    assert over is not None
    assert over == flat
    assert handling_of(Image()).noun == "pixels"
    assert handling.noun == handling_of(Scalar().over(Grid("other", 3))).noun == "voxels"


@pytest.mark.parametrize(("key", "value"), [("mean", "[0.5]"), ("channels", "3")])
def test_what_is_said_of_images_is_refused_of_volumes(
    key: str, value: str, tmp_path: Path, symbench: Symbench
) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\nname: a\ndatasets: {o: {use: organs, samples: 4, shape: [5, 5, 5], label: number}}\n"
        f"models: {{m: {{use: cnn-3d, width: 1, {key}: {value}}}}}\n"
        "symmetries: {s: {group: O, on: volume}}\n"
    )
    ran = symbench("run", tmp_path / "a.yaml", "--results", tmp_path / "results")
    assert ran.code == 2
    assert f"models.m.{key}: got {key} for 'volume', which nobody normalises, expected images" in ran.err
