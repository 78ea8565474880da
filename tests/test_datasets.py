"""Datasets: what the built-in ones hold, what users' own may be, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pil
from scipy.spatial.distance import pdist
from sklearn.datasets import load_digits

from symbench.base.errors import ConfigError, DataError
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.images.datasets.items import Items
from symbench.domains.images.datasets.pixels import to_image
from symbench.domains.images.datasets.resize import resize
from symbench.domains.images.tables.datasets import TorchvisionOptions
from symbench.domains.sets.data import mean_distance
from symbench.fields import Category, Image, Scalar


def load(name: str, **options: Any) -> Any:
    row, parameters = DATASETS.find(name)
    return row.load()(**row.options(**options).model_dump(), **parameters)


def test_digits_are_scikit_learns() -> None:
    train, test = load("digits", split="train"), load("digits")
    assert (len(train), len(test)) == (1347, 450)
    assert test.shapes() == {"image": (1, 33, 33)}
    batch = test.batch(range(450))
    assert float(batch.leaves["image"].min()) >= 0
    assert float(batch.leaves["image"].max()) <= 1
    for edge in (batch.leaves["image"], batch.leaves["image"].flip(2, 3)):
        assert float(edge[..., :3, :].max()) == float(edge[..., :3].max()) == 0, "shifts by 3 pixels lose nothing"
    raw = load_digits()
    small = torch.nn.functional.adaptive_avg_pool2d(batch.leaves["image"], 11)[..., 1:10, 1:10].unfold(2, 2, 1)
    small = small.unfold(3, 2, 1).mean((-2, -1))  # the originals' pixels lie half-way between these
    flat = torch.from_numpy(raw.images).float().flatten(1) / 16
    nearest = torch.cdist(small.flatten(1), flat).argmin(1)
    assert float((torch.from_numpy(raw.target)[nearest] == batch.targets["label"]).float().mean()) > 0.99
    both = torch.cat([train.batch(range(1347)).targets["label"], batch.targets["label"]])
    assert torch.equal(torch.bincount(both), torch.bincount(torch.from_numpy(raw.target)))
    assert load("digits").digest() == test.digest() != train.digest()


@pytest.mark.parametrize("size", [9, 16, 17, 22, 32, 33, 64, 65, 257])
def test_digits_lie_alike_at_every_size(size: int) -> None:
    """The originals' ink has its centre where it has it amid one and a half black pixels on every side."""
    images = load("digits", size=size).batch(range(450)).leaves["image"].double()[:, 0]
    raw = torch.from_numpy(load_digits().images[np.random.RandomState(0).permutation(1797)[:450]])
    for axis in (1, 2):
        profile, ink = images.sum(3 - axis).mean(0), raw.sum(3 - axis).mean(0)
        centre = (profile * (torch.arange(size) + 0.5)).sum() / profile.sum() / size
        assert float(centre) == pytest.approx(float((ink * (torch.arange(8) + 2)).sum() / ink.sum() / 11), abs=2e-3)


@pytest.mark.parametrize("size", [16, 17, 32, 33, 64, 65, 257])
def test_digits_have_no_hard_edge(size: int) -> None:
    """Neighbouring pixels differ by what the originals' resolution allows, across as up and down, edges included."""
    images = load("digits", size=size).batch(range(450)).leaves["image"]
    down, across = (float(images.diff(dim=dim).abs().max()) for dim in (2, 3))
    assert max(down, across) < 1.7 * 11 / size
    assert down == pytest.approx(across, rel=0.1)


def test_digits_are_padded_before_they_are_enlarged() -> None:
    """At twice the resolution this is torch's own enlargement of the padded originals, cut to 11 of their pixels."""
    raw = torch.from_numpy(load_digits().images[np.random.RandomState(0).permutation(1797)[:450]])[:, None] / 16
    padded = torch.nn.functional.pad(raw, (4,) * 4)
    wide = torch.nn.functional.interpolate(padded, scale_factor=2, mode="bicubic").clamp(0, 1)[..., 5:-5, 5:-5]
    images = load("digits", size=22).batch(range(450)).leaves["image"]
    assert float((images - wide).abs().max()) < 0.02, "what the interpolation rings outside is left black"
    assert float((images - wide)[..., 2:-2, 2:-2].abs().max()) < 1e-6


def test_sets_have_an_exact_order_free_target() -> None:
    data = load("sets", target="value", samples=50, order="random")
    batch = data.batch(range(50))
    for points, value in zip(batch.leaves["set"], batch.targets["label"], strict=True):
        assert float(value) == pytest.approx(pdist(points.double().numpy()).mean(), rel=1e-6)
    points = batch.leaves["set"].numpy()
    order = np.random.default_rng(0).permutation(16)
    assert np.array_equal(mean_distance(points), mean_distance(points[:, order])), "bit for bit"
    assert data.targets == {"label": Scalar()}
    listed = load("sets", samples=50)
    assert (listed.batch(range(50)).leaves["set"][..., 0].diff(dim=1) >= 0).all(), "sorted by the first coordinate"
    assert listed.targets == {"label": Category(4)}


def test_splits_differ() -> None:
    assert load("sets", split="train").digest() != load("sets", split="test").digest()


class Fake:
    """A torchvision-like class that finds its files, or not."""

    classes = ("a", "b")

    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        if not download and not (Path(root) / "there").exists():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        self.items = [(Pil.new("RGB", (6, 5), (40 * i, 0, 255)), i % 2) for i in range(4 if train else 2)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def test_torchvision_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from torchvision import datasets

    monkeypatch.setattr(datasets, "MNIST", Fake)
    row, parameters = DATASETS.find("torchvision/MNIST")
    assert parameters == {"name": "MNIST"}
    options = TorchvisionOptions(root="files").model_dump()
    with pytest.raises(ConfigError, match="torchvision/MNIST: .*Dataset not found.*download: true to fetch them"):
        row.load()(**options, **parameters, folder=tmp_path)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "there").touch()
    data = row.load()(**options, **parameters, folder=tmp_path)
    assert len(data) == 2
    assert data.targets == {"label": Category(2)}
    batch = data.batch([1, 0])
    assert batch.leaves["image"].shape == (2, 3, 5, 6)
    assert batch.leaves["image"][0, 0, 0, 0].item() == pytest.approx(40 / 255)
    assert batch.targets["label"].tolist() == [1, 0]
    with pytest.raises(ConfigError, match="got 'MNSIT', expected one of .*Did you mean 'MNIST'"):
        row.load()(**options, name="MNSIT", folder=tmp_path)


def test_a_real_torchvision_class_reads_files_that_we_made(tmp_path: Path) -> None:
    """torchvision's own FashionMNIST on small files in its format."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("t10k", 4)):
        images = rng.integers(0, 256, size=(count, 28, 28), dtype=np.uint8)
        header = np.array([2051, count, 28, 28], dtype=">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = np.arange(count, dtype=np.uint8)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            np.array([2049, count], dtype=">i4").tobytes() + labels.tobytes()
        )
    row, parameters = DATASETS.find("torchvision/FashionMNIST")
    data = row.load()(split="test", root=str(tmp_path), download=False, **parameters)
    batch = data.batch(range(4))
    assert torch.equal((batch.leaves["image"] * 255).round().byte()[:, 0], torch.from_numpy(images))
    assert data.classes is not None
    assert data.classes[9] == "Ankle boot"


@pytest.mark.parametrize(
    "value",
    [
        Pil.new("L", (4, 3), 51),
        Pil.new("RGBA", (4, 3), (51, 51, 51, 0)),
        Pil.new("P", (4, 3)),
        torch.full((1, 3, 4), 51, dtype=torch.uint8),
        np.full((3, 4), 51, dtype=np.uint8),
        torch.full((3, 3, 4), 0.2),
        np.full((3, 3, 4), 0.2),
    ],
    ids=["L", "RGBA", "P", "uint8", "2-d", "float", "float64 array"],
)
def test_what_an_image_may_be(value: Any) -> None:
    image = to_image(value, where="x")
    assert image.dtype == torch.float32
    assert image.shape[1:] == (3, 4)
    assert float(image.max()) <= 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            torch.full((1, 3, 3), 1.5),
            r"got pixels from 1.5 to 1.5, 9 of 9 of them beyond by up to 0.5, expected values in \[0, 1\].*Normalisation",
        ),
        (torch.full((1, 3, 3), torch.nan), "got 9 of 9 pixels that are NaN, infinite or beyond, expected"),
        (torch.zeros(1, 3, 3, dtype=torch.int64), "got an image of torch.int64"),
        (torch.zeros(2, 1, 3, 3), r"got an image of shape \(2, 1, 3, 3\)"),
        ("photo.png", "got a str, expected a PIL image"),
    ],
)
def test_what_an_image_may_not_be(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_image(value, where="data, sample 3")


def test_unlabelled_and_broken_sequences() -> None:
    bare = Items([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    assert bare.targets == {}
    assert bare.batch([1]).leaves["image"].sum() == 4
    with pytest.raises(ConfigError, match="empty"):
        Items([])
    with pytest.raises(ConfigError, match="got a int, expected a sequence"):
        Items(3)
    pair = (torch.zeros(1, 2, 2), 0)
    with pytest.raises(DataError, match=r"sample 1: got label 1.5, expected one class index"):
        Items([pair, (torch.zeros(1, 2, 2), 1.5)]).batch([0, 1])
    with pytest.raises(DataError, match=r"sample 1: got a Tensor, expected a pair"):
        Items([pair, torch.zeros(1, 2, 2)]).batch([1])
    with pytest.raises(DataError, match="2 shapes.*Give the model a size"):
        Items([pair, (torch.zeros(1, 3, 3), 1)]).batch([0, 1])
    assert Items([pair, (torch.zeros(1, 3, 3), 1)]).batch([0, 1], canvas=4).leaves["image"].shape == (2, 1, 4, 4)


def test_digest_follows_the_contents() -> None:
    one = Items([(torch.zeros(1, 2, 2), 0), (torch.ones(1, 2, 2), 1)])
    same = Items([(np.zeros((1, 2, 2), dtype=np.float32), 0), (torch.ones(1, 2, 2), 1)])
    other = Items([(torch.zeros(1, 2, 2), 1), (torch.ones(1, 2, 2), 1)])
    assert one.digest() == same.digest() != other.digest()


def test_arrays_need_one_length_and_a_field_for_everything() -> None:
    with pytest.raises(ValueError, match="one length"):
        Arrays(
            {"image": torch.zeros(2, 1, 2, 2)},
            {"label": torch.zeros(3)},
            fields={"image": Image()},
            target_fields={"label": Category()},
        )
    with pytest.raises(ValueError, match="needs a field"):
        Arrays({"image": torch.zeros(2, 1, 2, 2)}, {}, fields={}, target_fields={})


def test_resize_keeps_what_fits() -> None:
    x = torch.rand(1, 1, 5, 5)
    assert resize(x, 5) is x
    assert resize(x, None) is x
    assert resize(x, 9).shape == (1, 1, 9, 9)


def test_resizing_stays_in_range() -> None:
    """Antialiased, white becomes 1 + 1e-7 at some sizes."""
    assert all(float(resize(torch.ones(1, 3, 97, 97), side).max()) <= 1 for side in range(20, 97))


@pytest.mark.parametrize("shape", [(30, 50), (51, 40), (47, 31), (24, 24), (200, 91)])
@pytest.mark.parametrize("canvas", [24, 33])
def test_resize_is_torchvisions_resize_and_centre_crop(shape: tuple[int, int], canvas: int) -> None:
    from torchvision.transforms.functional import center_crop
    from torchvision.transforms.functional import resize as by_torchvision

    x = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    expected = center_crop(by_torchvision(x, [canvas], antialias=True), [canvas, canvas])
    assert resize(x, canvas).shape == (2, 3, canvas, canvas)
    assert torch.allclose(resize(x, canvas), expected, atol=1e-6)
