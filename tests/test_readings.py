"""Sequences that a run reads once: how often samples are asked for, and that what is held is what was read."""

from __future__ import annotations

import errno
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
import torch
from conftest import Symbench
from PIL import Image as Pil
from torch import Tensor

from symbench.base.errors import Interrupted
from symbench.domains.common.canvas import Canvas, Frame
from symbench.domains.images.datasets import cache, readings
from symbench.domains.images.datasets.items import Items
from symbench.domains.images.datasets.readings import Nameless, Readings, in_eight_bits
from symbench.measure.store import Store

SAMPLES = 100
SEQUENCE = """
import json
from pathlib import Path

import numpy as np
import photos
import torch

READ = Path(__file__).parent / "read.json"


class Sequence:
    def __init__(self, kind):
        self.kind = kind
        self.read = [0] * {samples}

    def __len__(self):
        return {samples}

    def __getitem__(self, index):
        self.read[index] += 1
        READ.write_text(json.dumps(self.read))
        image = photos.picture(index, size=(12 + index % 3, 10) if self.kind == "pictures" else (9, 9))
        if self.kind != "pictures":
            image = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        if self.kind == "floats":
            image = image.float().div(255) ** 2
        return image, index % 2


def load(kind):
    return Sequence(kind)
"""
SUITE = """\
version: 1
name: sequence
datasets: {{mine: {{use: "data.py:load", args: {{kind: {kind}}}}}}}
models:
  one:   {{use: "model.py:build", size: {sizes[0]}, outputs: {{logits: logits}}}}
  other: {{use: "model.py:build", size: {sizes[1]}, outputs: {{logits: logits}}}}
symmetries:
  turns: {{group: C4, on: image}}
  flips: {{group: D1, on: image}}
controls: {{samples: 4}}
"""


def write(folder: Path, kind: str, sizes: tuple[int, int]) -> Path:
    (folder / "data.py").write_text(SEQUENCE.replace("{samples}", str(SAMPLES)))
    (folder / "model.py").write_text(photos.MODEL)
    path = folder / "sequence.yaml"
    path.write_text(SUITE.format(kind=kind, sizes=sizes))
    return path


def read_of(folder: Path) -> list[int]:
    found: list[int] = json.loads((folder / "read.json").read_text())
    return found


def observations(results: Path) -> dict[str, bytes]:
    """What the cells of a run hold, but for times."""
    store = Store(results)
    keys = [path.parent.name for path in sorted((results / "cells").rglob("cell.json"))]
    return {key: store.observations(key).to_pandas().to_csv().encode() for key in keys}


CASES = [("pictures", (9, 7)), ("tensors", (9, 9)), ("tensors", (9, 7)), ("floats", (9, 7))]


@pytest.mark.parametrize(("kind", "sizes"), CASES, ids=[f"{kind}-{sizes[0]}-{sizes[1]}" for kind, sizes in CASES])
def test_a_run_reads_each_sample_once(
    tmp_path: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch, kind: str, sizes: tuple[int, int]
) -> None:
    """Two models under two symmetries; 64 samples are read twice more, to see that they are the same."""
    suite = write(tmp_path, kind, sizes)
    ran = symbench("run", suite, "--results", tmp_path / "held")
    assert ran.code == 0, ran.err
    times = Counter(read_of(tmp_path))
    assert times[1] == SAMPLES - 64
    assert times[3] >= 64 - 8, "but for a few of which the plan asks for the shape and the label"
    assert sum(count * n for count, n in times.items()) < SAMPLES + 2 * 64 + 30

    monkeypatch.setenv("SYMBENCH_CACHE_GIB", "1e-8")
    again = symbench("run", suite, "--results", tmp_path / "anew")
    assert re.search(
        r"datasets\.mine: samples are read anew for every model and symmetry: they take more than 9.31e-09 GiB, which "
        r"SYMBENCH_CACHE_GIB allows",
        " ".join(again.err.split()),
    )
    assert min(read_of(tmp_path)) > 4
    assert observations(tmp_path / "held") == observations(tmp_path / "anew")


def test_a_set_that_is_too_large_to_be_held_as_it_is_read_is_read_twice(
    tmp_path: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symbench.domains.images.datasets.items.READ_BYTES", 100)
    assert symbench("run", write(tmp_path, "pictures", (9, 7)), "--results", tmp_path / "results").code == 0
    assert Counter(read_of(tmp_path))[2] == SAMPLES - 64


def test_what_is_held_does_not_outlive_the_run(
    tmp_path: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    suite = write(tmp_path, "tensors", (9, 9))
    assert symbench("run", suite, "--results", tmp_path / "results").code == 0
    left = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert left < SAMPLES * 3 * 9 * 9, "no file with the images is left"
    data = tmp_path / "data.py"
    data.write_text(data.read_text().replace("picture(index,", "picture(index + 1,"))
    assert symbench("run", suite, "--results", tmp_path / "results").code == 0
    found = observations(tmp_path / "results")
    assert (len(found), len(set(found.values()))) == (4, 4), "other pixels; the two models share their cells"


# What is held.


PICTURES = [photos.picture(i, size=(12 + i, 10)) for i in range(4)]
FRAME = Frame(6, 8, "bicubic", "floor")
SOURCES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "pictures": (PICTURES, {}),
    "grey": ([picture.convert("L") for picture in PICTURES], {}),
    "palette": ([picture.convert("P") for picture in PICTURES], {}),
    "tensors": ([torch.from_numpy(np.array(picture)[:10, :10]).permute(2, 0, 1) for picture in PICTURES], {}),
    "arrays": ([np.array(picture)[:10, :10] for picture in PICTURES], {"layout": "nhwc"}),
    "floats": ([torch.rand(3, 10, 10, generator=torch.Generator().manual_seed(i)) for i in range(4)], {}),
    "divided": ([torch.from_numpy(np.array(p)[:10, :10]).permute(2, 0, 1).float() / 255 for p in PICTURES], {}),
    "a range": ([np.full((1, 10, 10), 1000 * i + 9, dtype=np.int32) for i in range(4)], {"range": (0, 4095)}),
}


@pytest.mark.parametrize("canvas", [None, 10, 7, FRAME], ids=["as it is", "10", "7", "a frame"])
@pytest.mark.parametrize("name", SOURCES)
def test_what_is_held_is_what_is_read(name: str, canvas: Canvas | None) -> None:
    source, options = SOURCES[name]
    if canvas is None:
        source = source[:1] * 4
    source = [(image, i % 2) for i, image in enumerate(source)]
    data, fresh = Items(source, **options), Items(source, **options)
    data.digest()
    data.prepare([0, 1, 3], [canvas])
    data.source = None
    one, other = data.batch([3, 0, 1], canvas=canvas), fresh.batch([3, 0, 1], canvas=canvas)
    assert torch.equal(one.leaves["image"], other.leaves["image"])
    assert torch.equal(one.targets["label"], other.targets["label"])
    kept = data.stored([3, 0, 1], canvas=canvas)
    assert kept is not None
    assert torch.equal(kept.made()["image"], other.leaves["image"])
    small = canvas in {None, 10} and name not in {"floats", "a range"}  # the shorter sides are 10: nothing is resized
    small |= canvas == FRAME and name in {"pictures", "grey"}
    assert (kept.leaves["image"].dtype == torch.uint8) == small
    assert data.stored([0, 2], canvas=canvas) is None or data._held[canvas].there.all()


def test_without_a_digest_samples_are_held_as_they_are_prepared() -> None:
    data = Items([(picture, 1) for picture in PICTURES])
    data.prepare([2], [7])
    expected = data.batch([1, 2], canvas=7)
    data.source = [None, (PICTURES[1], 1)]
    assert torch.equal(data.batch([1, 2], canvas=7).leaves["image"], expected.leaves["image"])


@pytest.mark.parametrize(
    ("image", "whole"),
    [
        (torch.arange(256).float() / 255, True),
        (torch.tensor([0.0, 1.0]), True),
        (torch.tensor([0.0, 0.5]), False),
        (torch.tensor([-0.0]), False),
        (torch.tensor([torch.finfo().tiny]), False),
        (torch.tensor([np.nextafter(np.float32(1 / 255), np.float32(1))]), False),
        (torch.arange(256).float() * (1 / 255), False),
    ],
    ids=["all", "black and white", "grey between", "negative zero", "tiny", "next", "by the inverse"],
)
def test_eight_bits_are_seen_to_the_last_bit(image: Tensor, whole: bool) -> None:
    found = in_eight_bits(image)
    assert (found is not None) == whole
    if found is not None:
        assert torch.equal(found.float() / 255, image)


def test_images_of_8_bits_and_others_are_held_beside_one_another() -> None:
    rows = Readings(Nameless(), 3)
    images = [torch.zeros(1, 2, 2), torch.full((1, 2, 2), 0.3), torch.ones(1, 2, 2)]
    rows.put(0, images[0])
    black = rows.read([0])
    assert black is not None
    assert black.dtype == torch.uint8
    for index in (1, 2):
        rows.put(index, images[index])
    all_of_them = rows.read([2, 0, 1])
    assert all_of_them is not None
    assert torch.equal(all_of_them, torch.stack([images[2], images[0], images[1]]))


def test_a_full_disk_is_said_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path))
    real, left = cache.write_all, [3]

    def write(file: Any, numbers: memoryview) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file, numbers)

    data = Items([(picture, 1) for picture in PICTURES], where="datasets.mine")
    expected = data.batch(range(4), canvas=7)
    monkeypatch.setattr(readings, "write_all", write)
    data.prepare(range(4), [7])
    assert data.remarks() == [
        f"datasets.mine: samples are read anew for every model and symmetry: {tmp_path} cannot be written: "
        "No space left on device."
    ]
    assert torch.equal(data.batch(range(4), canvas=7).leaves["image"], expected.leaves["image"])


def test_reading_can_be_stopped() -> None:
    data = Items([Pil.new("L", (3, 3))] * 5, where="datasets.mine")
    heard: list[object] = []
    with pytest.raises(Interrupted, match=r"datasets\.mine: stopped after 2 of 5 images.*same command resumes"):
        data.prepare(range(5), [3], listen=heard.append, stopped=lambda: len(heard) > 2)
    assert data._held[3].there.tolist() == [True, True, False, False, False]
