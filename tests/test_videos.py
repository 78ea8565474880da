"""Videos, images along an axis of frames: every frame moves, is normalised and shown as an image by itself is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pil

from symbench.algebra import actions, groups
from symbench.algebra.actions.base import Action
from symbench.algebra.fields import Category, Field
from symbench.base.errors import ConfigError
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.handling import handling_of
from symbench.domains.common.models.base import Normalisation
from symbench.fields import Axis, Grid, Image, Scalar, Video

X = torch.rand(2, 3, 1, 9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def load(folder: Path, **options: object) -> Dataset:
    row = DATASETS.row("arrays")
    found = row.load()(**row.options(**options).model_dump(), folder=folder)
    assert isinstance(found, Dataset)
    return found


def act_on(field: Field, group: str, **options: object) -> Action:
    return actions.load(groups.load(group, options), group, field, options, on=field)


def test_a_video_is_numbers_over_frames_and_a_grid() -> None:
    assert Video() == Scalar().over(Axis("frames"), Grid("image"))


@pytest.mark.parametrize(
    ("group", "options"),
    [
        ("D4", {}),
        ("translations", {"reach": 2, "border": "circular"}),
        ("SO2", {"border": "disc"}),
        ("SO2", {"interpolation": "fourier"}),
        ("scalings", {}),
    ],
    ids=str,
)
def test_every_frame_moves_as_an_image_does(group: str, options: dict[str, object]) -> None:
    g = groups.load(group, options).sample(3, generator=torch.Generator().manual_seed(1))
    on_video, on_image = act_on(Video(), group, **options), act_on(Image(), group, **options)
    assert on_video.check((3, 1, 9, 9)) is None
    assert on_video.kinds(g) == on_image.kinds(g)
    ready = on_video.prepare(X)
    moved = on_video.finish(on_video.act(g, ready).flatten(0, 1)).unflatten(0, (3, 2))
    for frame in range(3):
        alone = on_image.act(g, on_image.prepare(X[:, frame]))
        torch.testing.assert_close(moved[:, :, frame], alone, rtol=0, atol=1e-12)


def test_frames_are_normalised_channel_by_channel() -> None:
    x = torch.rand(2, 4, 3, 5, 5)
    normalise = Normalisation([0.1, 0.2, 0.3], [1.0, 2.0, 3.0])
    for frame in range(4):
        assert torch.equal(normalise(x)[:, frame], normalise(x[:, frame]))


def test_the_middle_frame_is_shown_and_all_are_resized() -> None:
    handling = handling_of(Video())
    picture = handling.rendered(X[0])
    assert picture is not None
    pixels = np.asarray(Pil.open(io.BytesIO(picture)))
    assert np.array_equal(pixels, (X[0, 1, 0] * 255).round().numpy().astype(np.uint8))
    assert handling.resized(X, 5).shape == (2, 3, 1, 5, 5)
    assert torch.equal(handling.resized(X, 5)[:, 2], handling_of(Image()).resized(X[:, 2], 5))
    assert handling.normalised
    said = handling.about_failure("expected 3 channels", (2, 3, 1, 9, 9))
    assert said == "It was given videos of 3 frames, 9 x 9 pixels and 1 channels."


@pytest.mark.parametrize("last", [True, False])
def test_videos_are_read_from_arrays(tmp_path: Path, last: bool) -> None:
    videos = np.random.default_rng(0).integers(0, 256, size=(4, 5, 3, 8, 9), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=np.moveaxis(videos, 2, -1) if last else videos, kind=np.array([0, 1, 1, 0]))
    data = load(tmp_path, path="a.npz", labels="kind", frames=True)
    assert (len(data), data.fields, data.targets) == (4, {"image": Video()}, {"label": Category(2)})
    batch = data.batch([3, 1])
    assert torch.equal(batch.leaves["image"], torch.from_numpy(videos[[3, 1]]).float() / 255)
    assert batch.targets["label"].tolist() == [0, 1]
    assert data.shapes(canvas=6) == {"image": (5, 3, 6, 6)}
    row = DATASETS.row("arrays")
    assert row.fields_under({"frames": True}) == {"image": Video()}
    assert row.fields_under({"path": "a.npz"}) == {"image": Image()}


def test_grey_videos_need_no_axis_of_channels_and_images_are_none(tmp_path: Path) -> None:
    np.save(tmp_path / "grey.npy", np.zeros((4, 5, 8, 8), dtype=np.uint8))
    assert load(tmp_path, path="grey.npy", frames=True).shapes() == {"image": (5, 1, 8, 8)}
    np.save(tmp_path / "one.npy", np.zeros((4, 8, 8), dtype=np.uint8))
    with pytest.raises(ConfigError, match=r"videos have shape \(4, 8, 8\), expected \(n, frames, c, h, w\)"):
        load(tmp_path, path="one.npy", frames=True)
