"""Pairs of images and masks on disk: what comes of them is what a loop over Pillow's pixels finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
import torch
from conftest import Symbench
from PIL import Image as Pil
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from symbench.algebra.fields import Category, Grid
from symbench.base.errors import ConfigError, DataError
from symbench.domains.common.canvas import Frame
from symbench.domains.common.datasets import DATASETS
from symbench.domains.images.datasets.decode import DECODED

NAMES = ["ground", "cat", "dog"]
PALETTE = [0, 0, 0, 200, 0, 0, 0, 200, 0, *[9] * 759]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))


def load(folder: Path, **options: Any) -> Any:
    row, _ = DATASETS.find("masks")
    return row.load()(**row.options(**{"root": "set", **options}).model_dump(), folder=folder, where="data")


def mask(seed: int, size: tuple[int, int] = (12, 10), *, classes: int = 3, ignored: bool = True) -> np.ndarray:
    """Classes of rectangles, with some pixels of 255; ``size`` is width and height."""
    rng = np.random.default_rng(seed)
    drawn = np.kron(rng.integers(0, classes, (4, 4)), np.ones((8, 8)))[: size[1], : size[0]].astype(np.uint8)
    if ignored:
        drawn[rng.random(drawn.shape) < 0.1] = 255
    return drawn


def made(folder: Path, sizes: Sequence[tuple[int, int]] = ((12, 10), (12, 10)), **options: Any) -> list[np.ndarray]:
    """Pairs ``set/images/0.png`` and ``set/masks/0.png``, masks in a palette."""
    masks = []
    for name in ("images", "masks"):
        (folder / "set" / name).mkdir(parents=True)
    for i, size in enumerate(sizes):
        masks.append(mask(i, size, **options))
        photos.picture(i, size=size).save(folder / "set" / "images" / f"{i}.png")
        picture = Pil.fromarray(masks[-1])
        picture.putpalette(PALETTE)
        picture.save(folder / "set" / "masks" / f"{i}.png")
    return masks


def expected(drawn: np.ndarray) -> list[list[int]]:
    return [[-1 if value == 255 else int(value) for value in row] for row in drawn]


def test_masks_are_the_numbers_of_their_files(tmp_path: Path) -> None:
    masks = made(tmp_path)
    data = load(tmp_path, classes=NAMES)
    assert data.targets == {"masks": Category(3).over(Grid("image"))}
    assert list(data.classes) == NAMES
    batch = data.batch([1, 0])
    assert batch.leaves["image"].shape == (2, 3, 10, 12)
    assert batch.targets["masks"].dtype == torch.int64
    assert batch.targets["masks"].tolist() == [expected(masks[1]), expected(masks[0])]
    assert data.remarks() == []
    grey = tmp_path / "set" / "masks" / "0.png"
    Pil.fromarray(masks[0]).save(grey)
    assert load(tmp_path, classes=3).batch([0]).targets["masks"].tolist() == [expected(masks[0])]


@pytest.mark.parametrize("canvas", [6, 16, Frame(7, (8, 9))])
def test_masks_come_to_a_canvas_with_their_images(tmp_path: Path, canvas: Any) -> None:
    sizes = [(12, 10), (9, 31), (20, 8)]
    masks = made(tmp_path, sizes)
    data = load(tmp_path, classes=NAMES)
    found = data.batch([0, 1, 2], canvas=canvas)
    side, resize = (canvas, [canvas]) if isinstance(canvas, int) else (canvas.side, list(canvas.resize))
    for drawn, seen in zip(masks, found.targets["masks"], strict=True):
        exact = InterpolationMode.NEAREST_EXACT
        resized = functional.resize(torch.from_numpy(drawn)[None], resize, interpolation=exact)
        assert seen.tolist() == expected(functional.center_crop(resized, [side, side])[0].numpy())
    with pytest.raises(ConfigError, match="images have 3 sizes"):
        data.batch([0])


def test_maps_are_drawn_once_for_all_runs(tmp_path: Path) -> None:
    made(tmp_path, [(12, 10)] * 4)
    data = load(tmp_path, classes=NAMES)
    assert data.pending([0, 1, 3], [6, None]) == 6
    type(data).make_room([(data, [0, 1, 3], [6, None])])
    data.prepare([0, 1, 3], [6, None])
    assert data.pending([0, 1, 3], [6, None]) == 0
    before, first = DECODED.total, data.batch([3, 0], canvas=6).targets["masks"]
    again = load(tmp_path, classes=NAMES)
    assert torch.equal(again.batch([3, 0], canvas=6).targets["masks"], first)
    assert DECODED.total - before == 1  # that of looking whether the first mask is one
    again.batch([2], canvas=6)
    assert DECODED.total - before == 3


def test_the_digest_is_of_images_masks_and_what_they_mean(tmp_path: Path) -> None:
    masks = made(tmp_path)
    digests = [load(tmp_path, classes=NAMES).digest(), load(tmp_path, classes=[*NAMES, "cow"]).digest()]
    digests += [load(tmp_path, classes=["a", "cat", "dog"]).digest(), load(tmp_path, classes=256 - 1).digest()]
    assert load(tmp_path, classes=NAMES).digest() == digests[0]
    masks[1][0, 0] = 1 if masks[1][0, 0] != 1 else 2
    Pil.fromarray(masks[1]).save(tmp_path / "set" / "masks" / "1.png")
    digests.append(load(tmp_path, classes=NAMES).digest())
    photos.picture(7).save(tmp_path / "set" / "images" / "0.png")
    digests.append(load(tmp_path, classes=NAMES).digest())
    assert len(set(digests)) == 6


def test_colours_stand_for_classes(tmp_path: Path) -> None:
    drawn = made(tmp_path, ignored=False)
    colours = {"ground": [0, 0, 0], "cat": [200, 0, 0], "dog": [0, 200, 0]}
    for i, each in enumerate(drawn):
        Pil.fromarray(np.array(list(colours.values()), dtype=np.uint8)[each]).save(tmp_path / f"set/masks/{i}.png")
    data = load(tmp_path, colours=colours)
    assert list(data.classes) == NAMES
    assert data.batch([0, 1]).targets["masks"].tolist() == [each.tolist() for each in drawn]
    some = load(tmp_path, colours={name: colours[name] for name in ("cat", "dog")}, ignore=[0, 0, 0])
    assert some.batch([0]).targets["masks"].tolist() == [[[int(v) - 1 for v in row] for row in drawn[0]]]
    with pytest.raises(
        ConfigError, match=r"mask masks/0.png has colour \[0, 200, 0\], in \d+ pixels, expected one of"
    ):
        load(tmp_path, colours={name: colours[name] for name in ("ground", "cat")})
    with pytest.raises(ConfigError, match=r"mask masks/0.png has colours, expected a number .* Say which colour"):
        load(tmp_path, classes=NAMES)


def test_names_may_have_an_ending_and_folders(tmp_path: Path) -> None:
    masks = made(tmp_path)
    for folder, name in (("images", "{}.png"), ("masks", "{}_ids.png")):
        (tmp_path / "set" / folder / "town").mkdir()
        for i in range(2):
            path = tmp_path / "set" / folder / f"{i}.png"
            path.rename(path.parent / "town" / name.format(i))
    data = load(tmp_path, classes=NAMES, ending="_ids")
    assert data.called(1) == "images/town/1.png"
    assert data.batch([1]).targets["masks"].tolist() == [expected(masks[1])]


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    made(tmp_path, [(12, 10)] * 3)
    (tmp_path / "set/masks/2.png").rename(tmp_path / "set/masks/3.png")
    data = load(tmp_path, classes=NAMES)
    assert len(data) == 2
    assert data.remarks() == [
        "data: 1 image has no mask and is left out: images/2.png.",
        "data: 1 mask has no image and is left out: masks/3.png.",
    ]
    unlabelled = load(tmp_path, masks=None)
    assert (len(unlabelled), unlabelled.targets) == (3, {})


def test_a_mask_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    made(tmp_path, [(12, 10)] * 4)
    path = tmp_path / "set/masks/2.png"
    (tmp_path / "set/masks/1.png").write_bytes(b"no image")
    path.write_bytes(path.read_bytes()[:-50])
    data = load(tmp_path, classes=NAMES)
    data.prepare(range(4), [6])
    assert sorted(data.unusable) == [1, 2]
    (said,) = data.remarks()
    assert said.startswith("data: 2 pictures are left out: images/1.png (its mask cannot be read: it is no JPEG, PNG")
    assert data.batch([0, 3], canvas=6).targets["masks"].shape == (2, 6, 6)
    with pytest.raises(DataError, match=r"sample 1: images/1.png cannot be used: its mask cannot be read: it is no"):
        data.batch([0, 1], canvas=6)


def test_masks_that_are_none_are_refused_with_what_to_do(tmp_path: Path) -> None:
    masks = made(tmp_path)
    with pytest.raises(
        ConfigError, match=r"has class 2, which is none, among \d+ pixels of such, expected 0 to 1. Name"
    ):
        load(tmp_path, classes=NAMES[:2])
    with pytest.raises(
        ConfigError, match=r"has class 255, which is none, .* expected 0 to 2. Name all classes, or say"
    ):
        load(tmp_path, classes=NAMES, ignore=None)
    with pytest.raises(ConfigError, match=r"got neither classes nor colours, expected one of them. classes: \["):
        load(tmp_path)
    with pytest.raises(ConfigError, match="got 300 classes, expected at most 255"):
        load(tmp_path, classes=300)
    with pytest.raises(
        ConfigError, match=r"set/maks is no folder, expected one, named by masks:. Did you mean 'masks'"
    ):
        load(tmp_path, classes=NAMES, masks="maks")
    with pytest.raises(ConfigError, match=r"no mask has the name of an image: images/0.png wants masks/0_x.png"):
        load(tmp_path, classes=NAMES, ending="_x")
    later = load(tmp_path, classes=NAMES)
    masks[1][3, 3] = 9
    Pil.fromarray(masks[1]).save(tmp_path / "set/masks/1.png")
    with pytest.raises(DataError, match=r"mask masks/1.png changed while it was in use. Run it again."):
        later.batch([0, 1])
    with pytest.raises(DataError, match=r"mask masks/1.png has class 9, which is none, among 1 pixels of such"):
        load(tmp_path, classes=NAMES).batch([0, 1])
    Pil.fromarray(mask(0, (8, 8))).save(tmp_path / "set/masks/1.png")
    with pytest.raises(
        ConfigError, match=r"mask masks/1.png has 8 x 8 pixels, and its image 12 x 10, expected one size"
    ):
        load(tmp_path, classes=NAMES)
    photos.picture(3).save(tmp_path / "set/images/1.jpg")
    with pytest.raises(ConfigError, match=r"images/1.(png|jpg) and images/1.(png|jpg) have one name"):
        load(tmp_path, classes=NAMES)


def test_a_suite_takes_them(tmp_path: Path, symbench: Symbench) -> None:
    made(tmp_path)
    path = photos.suite(tmp_path, "use: masks, root: set, classes: [a, b, c], ignore: 255, colours: {a: [0, 0, 300]}")
    done = symbench("validate", str(path))
    assert done.code == 2
    assert "colours.a" in done.err
    assert "a colour [r, g, b], each 0 to 255" in done.err


@pytest.mark.parametrize("said", ["x", "-3", "[1, 2]", "[300, 0, 0]", "0.5"])
def test_what_cannot_be_ignored_is_one_sentence(tmp_path: Path, said: str, symbench: Symbench) -> None:
    done = symbench("validate", str(photos.suite(tmp_path, f"use: masks, root: set, classes: 3, ignore: {said}")))
    assert done.code == 2
    assert done.err.count(", expected ") == 1
    assert "expected a number, 0 or more such as 255, or a colour [r, g, b], each 0 to 255" in done.err
    assert "function-" not in done.err
