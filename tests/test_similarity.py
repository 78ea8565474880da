"""Turning and zooming at once: against scipy, a loop over pixels, closed forms, and in either order of the factors."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from symbench.algebra import actions, groups
from symbench.algebra.actions.base import Action
from symbench.algebra.groups.base import Group, choose
from symbench.base.errors import ConfigError
from symbench.fields import Image
from symbench.measure.suite import load

Array = npt.NDArray[np.float64]


def build(name: str, **options: Any) -> tuple[Group, Action]:
    group = groups.load(name, options)
    return group, actions.load(group, name, Image(), options, on=Image())


def at(angle: float, factor: float) -> Tensor:
    """One element of SO2 x scalings."""
    return torch.tensor([[angle, np.log2(factor)]], dtype=torch.float64)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def back(angle: float, factor: float) -> Array:
    """The inverse of a turn and a zoom, for (row, column): rows count downwards."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[cos, sin], [-sin, cos]]) / factor


@pytest.mark.parametrize("size", [14, 15])
@pytest.mark.parametrize(
    ("border", "mode"), [("zero", "grid-constant"), ("circular", "grid-wrap"), ("reflect", "mirror")]
)
def test_enlarging_and_turning_is_one_affine_map_of_scipys(border: str, mode: Any, size: int) -> None:
    _, act = build("SO2 x scalings", reach=2.0, border=border)
    x, centre = noise(1, 1, size, size), np.full(2, (size - 1) / 2)
    for angle, factor in ((33.0, 1.0), (33.0, 1.4), (-77.0, 1.9), (90.0, 1.25), (0.0, 1.5)):
        matrix = back(angle, factor)
        theirs = ndimage.affine_transform(x[0, 0].numpy(), matrix, centre - matrix @ centre, order=1, mode=mode)
        assert np.abs(act.act(at(angle, factor), x)[0, 0, 0].numpy() - theirs).max() < 1e-9, (angle, factor)


def by_loops(x: Array, angle: float, factor: float, *, cubic: bool, border: str, fill: float = 0.0) -> Array:
    """The definition: every pixel is a weighted mean about the place that it comes from, over the whole plane."""
    size = len(x)
    centre, wider = (size - 1) / 2, max(1.0, 1 / factor)
    matrix = back(angle, factor)
    taps = np.arange(-3 * size, 4 * size)
    weights = np.vectorize(keys if cubic else lambda d: max(0.0, 1 - d))
    if border == "reflect":
        stands_for = np.array([t if t < size else 2 * size - 2 - t for t in taps % (2 * size - 2)])
    else:
        stands_for = taps % size
    out = np.empty_like(x)
    for i, j in product(range(size), repeat=2):
        row, column = matrix @ (np.array([i, j]) - centre) + centre
        w_row, w_column = (weights(np.abs(taps - place) / wider) for place in (row, column))
        plane = x[np.ix_(stands_for, stands_for)]
        if border == "fill":
            inside = (taps >= 0) & (taps < size)
            plane = np.where(inside[:, None] & inside, plane, fill)
        out[i, j] = w_row @ plane @ w_column / (w_row.sum() * w_column.sum())
    return out


def keys(d: float) -> float:
    """Keys' kernel in his own form, a = -1/2."""
    if d < 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


@pytest.mark.parametrize("cubic", [False, True], ids=["bilinear", "bicubic"])
@pytest.mark.parametrize("border", ["fill", "circular", "reflect"])
def test_reducing_and_turning_is_the_widened_kernel_about_where_a_pixel_comes_from(border: str, cubic: bool) -> None:
    fill = 0.3 if border == "fill" else 0.0
    options = {"border": border, "interpolation": "bicubic" if cubic else "bilinear", "fill": fill}
    _, act = build("SO2 x scalings", reach=2.0, **options)
    x = noise(1, 1, 8, 8)
    for angle, factor in ((25.0, 0.6), (110.0, 0.9), (180.0, 0.75)):
        expected = by_loops(x[0, 0].numpy(), angle, factor, cubic=cubic, border=border, fill=fill)
        assert np.abs(act.act(at(angle, factor), x)[0, 0, 0].numpy() - expected).max() < 1e-9, (angle, factor)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("border", ["zero", "circular", "reflect"])
def test_turns_and_zooms_alone_are_those_of_their_own_groups(border: str, interpolation: str) -> None:
    options: dict[str, Any] = {"border": border, "interpolation": interpolation}
    _, both = build("SO2 x scalings", reach=2.0, **options)
    _, turn = build("SO2", **options)
    _, zoom = build("scalings", reach=2.0, **options)
    x = noise(2, 3, 12, 12)
    assert torch.equal(both.act(at(40.0, 1.0), x), turn.act(torch.tensor([40.0]).double(), x))
    for factor in (0.55, 0.8, 1.3, 1.8):
        alone = zoom.act(torch.tensor([np.log2(factor)], dtype=torch.float64), x)
        assert torch.allclose(both.act(at(0.0, factor), x), alone, atol=1e-12)
        quarter = torch.rot90(alone, 1, (-2, -1))
        assert torch.allclose(both.act(at(90.0, factor), x), quarter, atol=1e-12)


def test_nothing_is_lost_in_a_frame_between_the_two() -> None:
    """A bright corner turned out of the frame and zoomed back into it is there; one after the other, it was not."""
    _, both = build("SO2 x scalings", reach=2.0)
    _, turn = build("SO2")
    _, zoom = build("scalings", reach=2.0)
    x = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    x[..., :4, :4] = 1.0
    turned = turn.act(torch.tensor([45.0]).double(), x)[0]
    after = zoom.act(torch.tensor([-1.0]).double(), turned)
    once = both.act(at(45.0, 0.5), x)
    assert float(once.sum()) == pytest.approx(16 / 4, rel=0.05), "a quarter of its area"
    assert float(after.sum()) < 0.3 * float(once.sum())


def gaussian(size: int, right: float, up: float, width: float) -> Tensor:
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    distance = (places[:, None] + up) ** 2 + (places - right) ** 2
    return torch.exp(-distance / (2 * width**2))[None, None]


@pytest.mark.parametrize(("angle", "factor"), [(30.0, 1.3), (200.0, 0.8), (-75.0, 0.9), (90.0, 1.2)])
def test_a_spot_comes_to_where_it_belongs_and_grows(angle: float, factor: float) -> None:
    """The closed form; the filter of a reduction blurs a little."""
    _, act = build("SO2 x scalings", reach=2.0, interpolation="bicubic")
    moved = act.act(at(angle, factor), gaussian(41, 5.0, 3.0, 4.0))[0]
    cos, sin = factor * np.cos(np.deg2rad(angle)), factor * np.sin(np.deg2rad(angle))
    expected = gaussian(41, 5 * cos - 3 * sin, 5 * sin + 3 * cos, 4.0 * factor)
    assert float((moved - expected).abs().max()) < 0.01


def test_a_mirror_comes_before_the_turn() -> None:
    group, act = build("D3 x scalings", reach=2.0)
    _, both = build("SO2 x scalings", reach=2.0)
    x = noise(1, 2, 15, 15)
    for zoomed in (0.3, -0.3):
        element = torch.tensor([[1.0, 1.0, zoomed]], dtype=torch.float64)
        assert group.labels(element)[0].startswith("flip+120°, x")
        assert torch.allclose(act.act(element, x), both.act(at(120.0, 2**zoomed), x.flip(-1)), atol=1e-12)


def test_exact_elements_stay_bit_for_bit_beside_others() -> None:
    _, act = build("SO2 x scalings", reach=2.0)
    x = noise(4, 1, 9, 9).float()
    elements = torch.cat([at(90.0, 1.0), at(90.0, 0.7), at(180.0, 1.0), at(10.0, 1.0)])
    assert act.kinds(elements) == ["permutation", "resampled", "permutation", "resampled"]
    shared = act.act(elements, x)
    own = act.act(elements[None], x)[0]  # every sample by one of them
    for i, turns in ((0, 1), (2, 2)):
        assert torch.equal(shared[i], torch.rot90(x, turns, (-2, -1)))
        assert torch.equal(own[i], torch.rot90(x[i], turns, (-2, -1)))
    for i in (1, 3):
        assert torch.allclose(own[i], shared[i, i], atol=1e-6)


def test_the_order_in_which_factors_are_written_makes_no_difference() -> None:
    x = noise(3, 1, 13, 13)
    found = []
    for name in ("SO2 x scalings", "scalings x SO2"):
        group, act = build(name, reach=1.5)
        chosen = choose(group, 6, generator=torch.Generator().manual_seed(0))
        found.append((group.name, group.labels(chosen.values), act.act(chosen.values, x)))
    assert found[0][:2] == found[1][:2]
    assert torch.equal(found[0][2], found[1][2])


SUITE = """\
version: 1
name: s
datasets: {digits: {use: digits}}
models: {cnn: {use: cnn}}
symmetries: {both: {group: GROUP, on: image, reach: 1.2}}
"""


def test_a_suite_has_the_factors_in_one_order(tmp_path: Path) -> None:
    """The name goes into the key of a cell, and elements are drawn by it."""
    path = tmp_path / "s.yaml"
    entries = []
    for group in ("D4 x scalings", "scalings x D4"):
        path.write_text(SUITE.replace("GROUP", group))
        entries.append(load(path).symmetries["both"])
    assert entries[0] == entries[1]
    assert entries[0].options["interpolation"] == "bilinear"


def test_fourier_is_refused_as_for_zooms(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        SUITE.replace("reach: 1.2", "reach: 1.2, interpolation: fourier").replace("GROUP", "SO2 x scalings")
    )
    with pytest.raises(ConfigError, match=r"both.interpolation: got 'fourier', expected .*bicubic"):
        load(path)


@pytest.mark.parametrize("group", ["C4 x translations", "scalings x scalings", "D4 x C4", "SE2 x scalings"])
def test_products_that_do_not_commute_or_are_not_done_at_once_are_refused(tmp_path: Path, group: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE.replace("GROUP", group))
    with pytest.raises(
        ConfigError, match=r"s.yaml:5: symmetries.both.group: .* is no direct product that acts, expected"
    ):
        load(path)


@pytest.mark.parametrize(("name", "interpolation", "margin"), [
    ("SO2 x scalings", "bilinear", 7), ("SO2 x scalings", "bicubic", 7), ("D4 x scalings", "bilinear", 3),
])  # fmt: skip
def test_a_crop_is_filled_from_within_and_asks_for_no_more(name: str, interpolation: str, margin: int) -> None:
    """The smallest margin: the worst element sees the canvas alone, and one pixel less would see what lies beyond."""
    options = {"reach": 1.2, "interpolation": interpolation, "border": "crop"}
    _, act = build(name, margin=margin, **options)
    assert act.check((1, 31, 31)) is None
    assert "needs a margin of" in (build(name, margin=margin - 1, **options)[1].check((1, 31, 31)) or "")
    worst = at(45.0, 1 / 1.2) if name.startswith("SO2") else torch.tensor([[0.0, 1.0, -np.log2(1.2)]]).double()
    seen = act.act(worst, torch.ones(1, 1, 31, 31, dtype=torch.float64))[0, 0, 0]
    inner = seen[margin : 31 - margin, margin : 31 - margin]
    assert float((inner - 1).abs().max()) < 1e-9
    wider = seen[margin - 1 : 32 - margin, margin - 1 : 32 - margin]
    assert float((wider - 1).abs().max()) > 1e-3


def test_turning_needs_a_square_and_flips_do_not() -> None:
    assert "square" in (build("C4 x scalings", reach=1.2)[1].check((1, 8, 9)) or "")
    assert build("D1 x scalings", reach=1.2)[1].check((1, 8, 9)) is None


def test_a_quadratic_image_stays_one() -> None:
    """Bicubic by Keys' a = -1/2 reproduces quadratics, and no other a does: turned, slid, moved and zoomed alike."""
    place = torch.arange(21, dtype=torch.float64) - 10

    def image(right: Tensor, down: Tensor) -> Tensor:
        return (0.3 * right**2 - 0.2 * right * down + 0.1 * down**2 + right - 2 * down + 3)[None, None]

    down, right = torch.meshgrid(place, place, indexing="ij")
    elements = {
        "SO2": ([31.0], back(31.0, 1.0), (0.0, 0.0)),
        "R2": ([[0.3, -0.6]], np.eye(2), (0.3, -0.6)),
        "SE2": ([[31.0, 0.3, -0.6]], back(31.0, 1.0), (0.3, -0.6)),
        "scalings": ([np.log2(1.3)], back(0.0, 1.3), (0.0, 0.0)),
        "SO2 x scalings": ([[31.0, np.log2(1.3)]], back(31.0, 1.3), (0.0, 0.0)),
    }
    for name, (element, matrix, shift) in elements.items():
        _, act = build(name, interpolation="bicubic", **({"reach": 1.5} if "scalings" in name else {}))
        moved = act.act(torch.tensor(element, dtype=torch.float64), image(right, down))[0]
        from_down, from_right = (
            float(row[0]) * (down - shift[0]) + float(row[1]) * (right - shift[1]) for row in matrix
        )
        error = (moved - image(from_right, from_down))[..., 6:-6, 6:-6].abs().max()
        assert float(error) < 1e-9, name
