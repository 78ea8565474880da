"""Files that are not what was written: each is named by every command, counts as not measured, and is measured again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
from conftest import Folder, Symbench, subprocess_symbench
from PIL import Image

from symbench import open_run
from symbench.domains.images.datasets import cache
from symbench.domains.images.datasets.images import load as load_images
from symbench.measure.store import Store, content_key, is_sealed, write_text

SUITE = """\
version: 1
name: two
datasets:
  blobs: {use: "data.py:load"}
models:
  fair: {use: "model.py:build"}
  skewed: {use: "model.py:build", args: {skew: 3.0}}
symmetries:
  turns: {group: C4, on: image}
controls: {samples: 8}
gates:
  - {metric: consistency, at_least: 0.5}
  - {metric: orbit_accuracy, max_drop: 0.1}
"""
MODEL = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, skew):
        super().__init__()
        self.skew = skew

    def forward(self, x):
        logits = -4 * (4 * x.mean(dim=(-3, -2, -1))[:, None] - 0.5 - torch.arange(3)) ** 2
        return logits + 16 * self.skew * (x[:, 0, 0, 0] - x[:, 0, -1, -1])[:, None] * torch.eye(3)[0]


def build(skew=0.0):
    return Net(skew)
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite of two models, measured once, and its baseline."""
    folder = Folder(tmp_path_factory.mktemp("measured"))
    folder.write(model=MODEL)
    folder.suite.write_text(SUITE)
    for command in (("run", folder.suite), ("baseline", "set", "--force", "--reason", "first")):
        done = subprocess_symbench(*command, "--results", folder.results)
        assert done.returncode == 0, done.stderr
    return folder.path


@pytest.fixture
def copy(measured: Path, tmp_path: Path) -> Folder:
    return Folder(shutil.copytree(measured, tmp_path / "copy"))


def cell_of(folder: Folder, model: str) -> Path:
    manifest = open_run(results=folder.results).manifest
    key = next(cell.key for cell in manifest.cells if cell.model == model)
    return Store(folder.results).cell_folder(key)


def other_cell(folder: Folder) -> str:
    """The folder of one cell put in the place of another's, as by a copy that went wrong."""
    fair, skewed = cell_of(folder, "fair"), cell_of(folder, "skewed")
    shutil.rmtree(skewed)
    shutil.copytree(fair, skewed)
    return "it is another cell's folder"


def number(folder: Folder) -> str:
    """A number of cell.json, edited."""
    path = cell_of(folder, "skewed") / "cell.json"
    record = json.loads(path.read_text())
    record["elements"][1]["weight"] *= 3
    path.write_text(json.dumps(record))
    return "its digest differs"


def own_key(folder: Folder) -> str:
    """Another cell's folder whose key was made to fit, and its digest too: the identity is still the other's."""
    fair, skewed = cell_of(folder, "fair"), cell_of(folder, "skewed")
    shutil.rmtree(skewed)
    shutil.copytree(fair, skewed)
    record = json.loads((skewed / "cell.json").read_text()) | {"key": skewed.name}
    del record["digest"]
    (skewed / "cell.json").write_text(json.dumps(record | {"digest": content_key(record)}))
    return "its key is not that of its identity"


def flipped_bit(folder: Folder) -> str:
    """One bit of an observation file."""
    path = next(cell_of(folder, "skewed").glob("observations-*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return f"{path.name} is not what was written"


def other_table(folder: Folder) -> str:
    """Another cell's observations under this one's name."""
    mine, theirs = (next(cell_of(folder, name).glob("observations-*")) for name in ("skewed", "fair"))
    shutil.copy(theirs, mine)
    return f"{mine.name} is not what was written"


def lost_file(folder: Folder) -> str:
    """A table that is gone."""
    (cell_of(folder, "skewed") / "controls.parquet").unlink()
    return "controls.parquet is missing"


def torn(folder: Folder) -> str:
    """The first half of cell.json."""
    path = cell_of(folder, "skewed") / "cell.json"
    path.write_text(path.read_text()[:400])
    return "cell.json is damaged"


ALTERED = (other_cell, number, own_key, flipped_bit, other_table, lost_file, torn)


@pytest.mark.parametrize("alter", ALTERED, ids=lambda alter: alter.__name__)
def test_an_altered_cell_is_named_by_every_command_and_measured_again(
    copy: Folder, symbench: Symbench, alter: Callable[[Folder], str]
) -> None:
    before = open_run(results=copy.results).estimates()
    why = alter(copy)
    baseline = copy.results / "baselines" / "two.json"
    run = open_run(results=copy.results).manifest.run
    for command, code in (
        (("report", "--format", "md"), None),
        (("gate",), 4),
        (("compare", baseline, run), 3),
        (("leaderboard",), 3),
        (("baseline", "set", "--reason", "x", "--output", copy.path / "b.json"), 2),
    ):
        ran = symbench(*command, "--results", copy.results)
        assert why in ran.out + ran.err, command
        assert "Traceback" not in ran.err
        if code is not None:
            assert ran.code == code, command
    shown = open_run(results=copy.results).estimates()
    assert shown[shown["model"] == "skewed"]["estimate"].isna().all(), "nothing of it is printed"
    again = symbench("run", copy.suite, "--results", copy.results)
    assert again.code == 0, again.err
    assert why in again.err
    after = open_run(results=copy.results).estimates()
    timed = before["unit"] == "s"
    assert before[~timed].drop(columns=["floor"]).equals(after[~timed].drop(columns=["floor"]))
    assert symbench("gate", "--results", copy.results).code == symbench("gate", "--results", copy.results).code == 0


def renamed(manifest: dict[str, Any]) -> dict[str, Any]:
    """Two cells under each other's keys."""
    first, second = manifest["cells"]
    first["key"], second["key"] = second["key"], first["key"]
    return manifest


def elsewhere(manifest: dict[str, Any]) -> dict[str, Any]:
    """A name that leads out of the results folder, under a digest that is right."""
    rest = {**manifest, "run": "../../../escaped"}
    del rest["digest"]
    return {**rest, "digest": content_key(rest)}


@pytest.mark.parametrize("alter", [renamed, elsewhere], ids=lambda alter: alter.__name__)
def test_an_altered_manifest_is_refused_by_every_command_and_written_anew(
    copy: Folder, symbench: Symbench, alter: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    path = next((copy.results / "runs").glob("*.json"))
    path.write_text(json.dumps(alter(json.loads(path.read_text()))))
    for command in (("report",), ("gate",), ("baseline", "set", "--reason", "x"), ("leaderboard",)):
        ran = symbench(*command, "--results", copy.results)
        assert ran.code == 2, command
        assert path.name in ran.err
        assert "is not what was written" in ran.err or "is the manifest of" in ran.err
    assert not list(copy.path.parent.glob("**/escaped*"))
    again = symbench("run", copy.suite, "--results", copy.results)
    assert again.code == 0
    assert symbench("gate", "--results", copy.results).code == 0


def test_an_altered_baseline_is_refused(copy: Folder, symbench: Symbench) -> None:
    path = copy.results / "baselines" / "two.json"
    data = json.loads(path.read_text())
    data["cells"][0]["estimates"]["consistency"] = [0.1, 0.0, 0.2]
    path.write_text(json.dumps(data))
    for command in (("gate",), ("baseline", "show"), ("baseline", "list")):
        ran = symbench(*command, "--results", copy.results)
        assert "its digest differs" in ran.out + ran.err, command
    assert symbench("gate", "--results", copy.results).code == 2


def test_a_digest_is_of_everything_and_nan_has_none() -> None:
    record = {"a": 1.5, "b": ["x", None]}
    whole = {**record, "digest": content_key(record)}
    assert is_sealed(whole)
    assert is_sealed(record), "the first version had none"
    assert not is_sealed({**whole, "a": 1.6})
    assert not is_sealed({**whole, "c": 0})
    assert not is_sealed({**whole, "a": float("nan")})
    assert not is_sealed([1])


def test_altered_pixels_are_decoded_again(
    tmp_path: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    photos.folders(tmp_path / "photos", 6)
    arguments = ("--model", "torchvision/resnet18", "--data", tmp_path / "photos", "--size", "32", "--symmetry", "c4")
    assert symbench("run", *arguments, "--results", tmp_path / "one").code == 0
    for path in (tmp_path / "cache" / "pixels").rglob("*.npy"):
        pixels = np.load(path, mmap_mode="r+")
        pixels[2] = 255 - pixels[2]
        pixels.flush()
    ran = symbench("run", *arguments, "--results", tmp_path / "two")
    assert ran.code == 0, ran.err
    assert "cached image is not what was written: decoded again" in ran.err
    columns = ["model", "metric", "element", "estimate"]
    one, two = (open_run(results=tmp_path / name).estimates() for name in ("one", "two"))
    assert one[one["unit"] != "s"][columns].equals(two[two["unit"] != "s"][columns])
    ran = symbench("run", *arguments, "--results", tmp_path / "three")
    assert "decoded again" not in ran.err


def test_a_cache_that_keeps_nothing_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    photos.folders(tmp_path / "photos", 2)
    data = load_images(root=str(tmp_path / "photos"), split="test", labels="folders", channels=3)
    monkeypatch.setattr(
        cache.Entry, "_mark", lambda self, row, pixels: cache.PRESENT | int(pixels.sum()) % 7 + len(calls_of(pixels))
    )
    with pytest.raises(Exception, match="does not give back what is written"):
        data.batch([0], canvas=16)


_SEEN: list[object] = []


def calls_of(pixels: object) -> list[object]:
    """Another length every time."""
    _SEEN.append(pixels)
    return _SEEN


def test_another_entrys_pixels_are_not_this_ones(
    tmp_path: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file of the pixel cache copied over another, both whole: the images are decoded again, and it is said."""
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    arguments = ("--model", "torchvision/resnet18", "--size", "32", "--symmetry", "c4")
    first: dict[str, Any] = {}
    for name, count in (("a", 6), ("b", 6)):
        photos.folders(tmp_path / name, count)
        for number, path in enumerate(sorted((tmp_path / name).rglob("*.png"))):
            if name == "b":
                Image.open(path).transpose(Image.Transpose.ROTATE_180).save(path)
            del number
        assert symbench("run", *arguments, "--data", tmp_path / name, "--results", tmp_path / f"{name}1").code == 0
        first[name] = open_run(results=tmp_path / f"{name}1").estimates()
    entries = sorted((tmp_path / "cache" / "pixels").rglob("*.npy"))
    assert len(entries) == 2
    swapped = [path.read_bytes() for path in reversed(entries)]
    for path, data in zip(entries, swapped, strict=True):
        path.write_bytes(data)
    for name in "ab":
        ran = symbench("run", *arguments, "--data", tmp_path / name, "--results", tmp_path / f"{name}2")
        assert "not what was written: decoded again" in ran.err
        again = open_run(results=tmp_path / f"{name}2").estimates()
        columns = ["model", "metric", "element", "estimate"]
        timed = again["unit"] == "s"
        assert again[~timed][columns].equals(first[name][first[name]["unit"] != "s"][columns])


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_is_no_file_is_written_into(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "out", tmp_path / "target"
    if kind == "link":
        target.write_text("old")
        path.symlink_to(target)
        write_text(path, "new")
        assert path.is_symlink()
        assert target.read_text() == "new"
        return
    os.mkfifo(path)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(path.read_text)
        write_text(path, "new")
        assert read.result(timeout=10) == "new"
    assert path.is_fifo()
