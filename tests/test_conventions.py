"""Direction, centre and pixels of image actions against scipy and torchvision, on odd and even sizes; oversampling."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import crop, rotate

from symbench.algebra import actions, groups
from symbench.algebra.actions import ACTIONS
from symbench.algebra.actions.base import Action
from symbench.algebra.groups.base import Group
from symbench.domains.images.actions.border import disc_mask
from symbench.domains.images.actions.options import TurnOptions, ZoomOptions
from symbench.domains.images.actions.plane import TurnImage
from symbench.face import testing
from symbench.fields import Image


def build(name: str, **options: Any) -> tuple[Group, Action]:
    group = groups.load(name, options)
    return group, actions.load(group, name, Image(), options, on=Image())


def at(*values: float) -> Tensor:
    """One element: an angle, a logarithm or a shift."""
    return torch.tensor([values[0] if len(values) == 1 else values], dtype=torch.float64)


def inside(size: int, channels: int = 1) -> Tensor:
    """Noise that fades out before the edge, so that no border policy matters; seeded."""
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(1, channels, size, size, generator=generator, dtype=torch.float64)
    return pad(x[..., 6:-6, 6:-6], (6, 6, 6, 6)) * disc_mask(size, size, 4.0)


SIZES = [30, 31]
ANGLES = [15.0, 45.0, 77.0, 135.0, 211.5, 300.0]


# Turns.


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("angle", ANGLES)
def test_turns_are_scipys_and_torchvisions(angle: float, size: int) -> None:
    x = inside(size)
    ours = build("SO2")[1].act(at(angle), x)[0]
    scipys = ndimage.rotate(x[0, 0].numpy(), angle, reshape=False, order=1)
    assert float((ours[0, 0] - torch.from_numpy(scipys)).abs().max()) < 1e-9
    assert float((ours - rotate(x, angle, InterpolationMode.BILINEAR)).abs().max()) < 1e-5  # its grid is float32


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["bicubic", "fourier"])
def test_other_interpolations_turn_the_same_way(interpolation: str, size: int) -> None:
    """Against splines of order 5, on an image that is smooth enough for all of them to agree."""
    smooth = np.asarray(ndimage.gaussian_filter(inside(size)[0, 0].numpy(), 2.0))
    x = torch.from_numpy(smooth)[None, None]
    for angle in ANGLES:
        ours = build("SO2", interpolation=interpolation)[1].act(at(angle), x)[0, 0, 0].numpy()
        theirs = ndimage.rotate(smooth, angle, reshape=False, order=5)
        assert np.abs(ours - theirs)[6:-6, 6:-6].max() < 0.02 * smooth.max(), angle


@pytest.mark.parametrize("size", SIZES)
def test_a_mirror_comes_before_the_turn(size: int) -> None:
    group, act = build("D4")
    x = inside(size, 2)
    moved = dict(zip(group.labels(group.elements()), act.act(group.elements(), x), strict=True))
    for turns in (1, 2, 3):
        assert torch.equal(moved[f"flip+{90 * turns}°"], torch.rot90(x.flip(-1), turns, (-2, -1)))
    oblique, shears = build("D3")[1], build("D3", interpolation="fourier")[1]
    flipped = x.flip(-1)[0, 0].numpy()
    expected = torch.from_numpy(ndimage.rotate(flipped, 120.0, reshape=False, order=1))
    assert torch.allclose(oblique.act(torch.tensor([[1, 1]]), x)[0, 0, 0], expected, atol=1e-9)
    turned = build("SO2", interpolation="fourier")[1].act(at(120.0), x.flip(-1))
    assert torch.allclose(shears.act(torch.tensor([[1, 1]]), x), turned, atol=1e-12)


def test_the_pictures_in_the_docstring_are_true() -> None:
    lines = [re.findall(r"(?:[.x] ){2,}[.x]", line) for line in (TurnImage.__doc__ or "").splitlines()]
    rows = [[[c == "x" for c in half.split()] for half in line] for line in lines if line]  # (7, 2, 3 or 4)
    for drawn in (rows[:3], rows[3:]):
        before, after = (torch.tensor([line[i] for line in drawn]) for i in (0, 1))
        assert before.shape == (len(drawn), len(drawn))
        assert int(before.sum()) == 1
        assert torch.equal(
            build("C4")[1].act(torch.tensor([1]), before[None, None].double())[0, 0, 0], after.double()
        )
    assert len(rows) == 7


# Shifts.


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("border", "mode"), [("zero", "grid-constant"), ("circular", "grid-wrap")])
def test_slides_are_scipys_at_every_edge(border: str, mode: Any, size: int) -> None:
    x = torch.rand(1, 1, size, size + 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    for distance in ((0.25, -1.5), (-2.0, 0.75), (1.0, 0.0)):
        ours = build("R2", reach=2.0, border=border)[1].act(at(*distance), x)[0, 0, 0].numpy()
        assert np.abs(ours - ndimage.shift(x[0, 0].numpy(), distance, order=1, mode=mode)).max() < 1e-9


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "fourier"])
def test_slides_by_whole_pixels_are_shifts(interpolation: str) -> None:
    x = inside(31)
    shifted = build("translations", reach=5, border="zero")[1].act(torch.tensor([[3, -5]]), x)
    assert torch.allclose(build("R2", interpolation=interpolation)[1].act(at(3.0, -5.0), x), shifted, atol=1e-9)


def test_crops_of_a_larger_canvas_have_the_published_offsets() -> None:
    """Two-crop consistency: 224 of 256 pixels at offsets 0 to 31; here 8 of 12 at 0 to 3."""
    group, act = build("translations", reach=2, back=1, border="crop", margin=2)
    x = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(5))
    assert act.check((3, 12, 12)) is None
    assert "margin of 2.0 px" in (
        build("translations", reach=2, back=1, border="crop", margin=1)[1].check((3, 12, 12)) or ""
    )
    offsets = set()
    for (down, right), moved in zip(group.elements().tolist(), act.finish(act.act(group.elements(), x)), strict=True):
        offsets.add((2 - down, 2 - right))
        assert torch.equal(moved, crop(x, 2 - down, 2 - right, 8, 8))
    assert offsets == {(i, j) for i in range(4) for j in range(4)}


# Zooms.


@pytest.mark.parametrize("size", SIZES)
def test_enlarging_is_scipys(size: int) -> None:
    _, act = build("scalings", reach=2.0)
    x, centre = inside(size), (size - 1) / 2
    for factor in (1.25, 1.7):
        ours = act.act(at(np.log2(factor)), x)[0, 0, 0].numpy()
        theirs = ndimage.affine_transform(
            x[0, 0].numpy(), np.full(2, 1 / factor), centre - centre / factor, order=1, mode="grid-constant"
        )
        assert np.abs(ours - theirs).max() < 1e-9


@pytest.mark.parametrize("size", [32, 36])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_reducing_by_half_is_torchs_in_the_middle_of_the_frame(interpolation: str, size: int) -> None:
    _, act = build("scalings", reach=2.0, interpolation=interpolation)
    x, room = pad(inside(size - 8), (4, 4, 4, 4)), [size // 4] * 4
    small = interpolate(x, scale_factor=0.5, mode=interpolation, antialias=True, align_corners=False)
    assert torch.allclose(act.act(at(-1.0), x)[0], pad(small, room), atol=1e-9)


@pytest.mark.parametrize(("name", "margin"), [("SO2", 5), ("scalings", 5)])
def test_bicubic_looks_a_pixel_further_than_bilinear_so_that_a_crop_needs_more(name: str, margin: int) -> None:
    """The smallest margin that will do; the worst elements then see nothing but the canvas."""
    worst = at(45.0) if name == "SO2" else at(-np.log2(1.25))
    for interpolation, more in (("bilinear", 0), ("bicubic", 1)):
        options = {"interpolation": interpolation, "border": "crop"} | ({"reach": 1.25} if name == "scalings" else {})
        assert "needs a margin of" in (build(name, margin=margin + more - 1, **options)[1].check((1, 31, 31)) or "")
        _, act = build(name, margin=margin + more, **options)
        assert act.check((1, 31, 31)) is None
        seen = act.finish(act.act(worst, torch.ones(1, 1, 31, 31, dtype=torch.float64)))
        assert float((seen - 1).abs().max()) < 1e-9


# Oversampling.


def composition_error(oversample: int, x: Tensor) -> float:
    """How far turning by a and then b is from turning by a + b, on the canvas where it happens."""
    _, act = build("SO2", oversample=oversample)
    fine = act.prepare(x)
    errors = []
    for a, b in ((20.0, 37.0), (33.0, 61.0), (50.0, -77.0)):
        twice = act.act(at(b), act.act(at(a), fine)[0])[0]
        errors.append(float((twice - act.act(at(a + b), fine)[0]).norm() / fine.norm()))
    return float(np.mean(errors))


def test_turns_compose_better_on_a_finer_canvas() -> None:
    x = torch.from_numpy(np.asarray(ndimage.gaussian_filter(inside(33)[0, 0].numpy(), 0.8)))[None, None]
    coarse, fine = composition_error(1, x), composition_error(3, x)
    assert 0.01 < coarse < 0.1
    assert fine < coarse / 4


@pytest.mark.parametrize("times", [2, 3, 4])
def test_the_identity_is_low_passed_like_everything_else(times: int) -> None:
    group, act = build("SO2", oversample=times)
    x = torch.rand(1, 2, 7, 7, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    places = (np.arange(times * 7) + 0.5) / times - 0.5
    fine = np.stack([np.interp(places, np.arange(7), row) for row in np.eye(7)])  # (in, out), the edges repeated
    filter_ = torch.from_numpy(fine.reshape(7, 7, times).mean(-1))
    expected = filter_.T @ x @ filter_
    seen = act.finish(act.act(group.identity(), act.prepare(x)))[0]
    assert torch.allclose(seen, expected, atol=1e-12)
    assert not torch.allclose(seen, x, atol=1e-2), "not the image itself"


@pytest.mark.parametrize("times", [2, 3])
def test_quarter_turns_on_the_finer_canvas_are_bit_for_bit(times: int, generator: torch.Generator) -> None:
    group, act = build("D4", oversample=times)
    x = inside(20).float()
    prepared = act.prepare(x)
    assert prepared.shape == (1, 1, 20 * times, 20 * times)
    testing.check_action(act, group, prepared, generator=generator)
    for turns, moved in enumerate(act.act(group.elements()[:4], prepared)):
        assert torch.equal(moved, torch.rot90(prepared, turns, (-2, -1)))
        assert torch.allclose(act.finish(moved), torch.rot90(act.finish(prepared), turns, (-2, -1)), atol=1e-6)


def test_outputs_keep_their_pixels() -> None:
    """``act`` alone, which is all that outputs get, neither refines nor averages."""
    x = inside(20)
    for name, element in (("SO2", at(30.0)), ("scalings", at(-0.3))):
        assert torch.equal(build(name, oversample=3)[1].act(element, x), build(name)[1].act(element, x))


@pytest.mark.parametrize("name", ["SO2 x scalings", "D4 x scalings"])
def test_products_are_oversampled_once(name: str, generator: torch.Generator) -> None:
    group, act = build(name, oversample=3, reach=1.2, border="disc")
    x = inside(21)
    seen = act.finish(act.act(group.sample(4, generator=generator), act.prepare(x)))
    assert seen.shape == (4, *x.shape)
    alone = build("SO2", oversample=3, border="disc")[1]
    assert torch.equal(act.prepare(x), alone.prepare(x))
    assert torch.equal(act.finish(act.prepare(x)), alone.finish(alone.prepare(x)))


def test_margins_count_the_images_own_pixels(generator: torch.Generator) -> None:
    group, act = build("SO2", oversample=2, border="crop", margin=5)
    seen = act.finish(act.act(group.sample(6, generator=generator), act.prepare(torch.ones(1, 1, 31, 31))))
    assert seen.shape[-2:] == (21, 21)
    assert float((seen - 1).abs().max()) < 1e-5


def test_oversampling_and_fourier_are_refused_together() -> None:
    with pytest.raises(ValidationError, match="oversample: 3 needs interpolation: bilinear or bicubic"):
        TurnOptions(interpolation="fourier", oversample=3)
    assert TurnOptions(interpolation="fourier", oversample=1).oversample == 1
    with pytest.raises(ValidationError, match="less than or equal to 8"):
        ZoomOptions(oversample=9)


def test_shifts_are_not_oversampled() -> None:
    """Their distances are in the image's own pixels, and an action cannot tell which canvas it is on."""
    knows = {name for name, row in ACTIONS if "oversample" in row.options.model_fields}
    assert knows == {"turn", "zoom", "turn-and-zoom"}
