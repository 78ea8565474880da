"""Networks of circular harmonics: C_N and O(2), exact on the grid's own symmetries and near on all others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy

from symbench.domains.common.models import MODELS
from symbench.domains.images.models.harmonic_cnn import ORDERS, HarmonicConv
from symbench.domains.images.models.harmonics import DEGREE, Halving, harmonics, turned
from symbench.domains.images.models.regular_cnn import RegularConv

PROFILES = {5: (3, 2, 2, 1, 0), 7: (4, 3, 3, 2, 2)}
"""Radial profiles of each order, by the pixels of a filter: no more than rings, nor than radii without aliases."""
FLOOR = {torch.float32: 1e-5, torch.float64: 1e-11}


def build(name: str, side: int, *, channels: int = 1, seed: int = 0, **options: Any) -> nn.Module:
    row = MODELS.row(name)
    torch.manual_seed(seed)
    module: nn.Module = row.load()(shape=(channels, side, side), outputs=10, **row.options(**options).model_dump())
    return module


def blobs(side: int, angle_deg: float = 0.0, *, count: int = 8) -> Tensor:
    """Sums of Gaussians with centres turned counter-clockwise, ``(count, 1, side, side)``: 29 units of length a side."""
    generator = torch.Generator().manual_seed(0)
    radius, angle, width, weight = torch.rand(4, count, 8, 1, 1, generator=generator, dtype=torch.float64)
    angle = 2 * math.pi * angle + math.radians(angle_deg)
    radius, width, weight = 6.5 * radius.sqrt(), 1.2 + 0.8 * width, 2 * weight - 1
    places = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) * 29 / side
    square = (places - radius * angle.cos()) ** 2 + (-places[:, None] - radius * angle.sin()) ** 2
    return (weight * torch.exp(-square / (2 * width**2))).sum(dim=1, keepdim=True)


@torch.no_grad()
def error(module: nn.Module, moved: Tensor, unmoved: Tensor) -> float:
    """Root mean square change of the outputs under a move, against their differences between images."""
    f, g = module(unmoved).flatten(1), module(moved).flatten(1)
    unrelated = torch.cdist(f, f).square().sum() / (len(f) * (len(f) - 1))
    return float(((g - f).square().sum(dim=1).mean() / unrelated).sqrt())


def trained(module: nn.Module, side: int, dtype: torch.dtype, steps: int) -> nn.Module:
    """After some steps of SGD, in eval mode."""
    module = module.to(dtype).train()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.02)
    x = torch.rand(8, 1, side, side).to(dtype)
    for _ in range(steps):
        optimiser.zero_grad()
        cross_entropy(module(x), torch.arange(8)).backward()
        optimiser.step()
    return module.eval()


def quarter(x: Tensor) -> Tensor:
    return torch.rot90(x, 1, (-2, -1))


def half(x: Tensor) -> Tensor:
    return torch.rot90(x, 2, (-2, -1))


def mirror(x: Tensor) -> Tensor:
    return x.flip(-1)


def upside_down(x: Tensor) -> Tensor:
    return x.flip(-2)


Move = Callable[[Tensor], Tensor]
CLAIMS: list[tuple[str, dict[str, int], list[Move], list[Move]]] = [
    ("regular-cnn", {"order": 4}, [quarter, half], [mirror]),
    ("regular-cnn", {"order": 6}, [half], [quarter, mirror]),
    ("regular-cnn", {"order": 8}, [quarter, half], [mirror]),
    ("regular-cnn", {"order": 8, "kernel": 7}, [quarter, half], [mirror]),
    ("regular-cnn", {"order": 16}, [quarter, half], [mirror]),
    ("harmonic-cnn", {}, [quarter, half, mirror], []),
    ("harmonic-cnn", {"kernel": 7}, [quarter, half, mirror], []),
    ("cnn", {}, [], [quarter, half, mirror]),
]


@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("dtype", list(FLOOR), ids=str)
@pytest.mark.parametrize("side", [20, 21])
@pytest.mark.parametrize(
    ("name", "options", "exact", "broken"), CLAIMS, ids=[f"{name} {o}" for name, o, *_ in CLAIMS]
)
def test_exact_symmetries_and_no_others(
    name: str,
    options: dict[str, int],
    exact: list[Move],
    broken: list[Move],
    side: int,
    dtype: torch.dtype,
    steps: int,
) -> None:
    module = trained(build(name, side, width=2, **options), side, dtype, steps)
    x = torch.rand(6, 1, side, side).to(dtype)
    assert all(error(module, move(x), x) <= FLOOR[dtype] for move in exact)
    assert all(error(module, move(x), x) > 100 * FLOOR[torch.float32] for move in broken)


@pytest.mark.parametrize("name", ["regular-cnn", "harmonic-cnn"])
@pytest.mark.parametrize("angle_deg", [22.5, 45.0, 130.0])
def test_other_angles_are_near_and_far_in_a_plain_network(name: str, angle_deg: float) -> None:
    x, moved = blobs(29), blobs(29, angle_deg)
    # In train mode, for fresh networks know no means yet; those over a batch are as invariant as the features.
    for seed in range(2):
        plain = error(build("cnn", 29, seed=seed).double(), moved, x)
        assert error(build(name, 29, seed=seed).double(), moved, x) < plain / 3


def test_the_images_turn_as_quarter_turns_do() -> None:
    assert torch.allclose(torch.rot90(blobs(21), 1, (-2, -1)), blobs(21, 90.0), atol=1e-12)


def test_finer_pixels_bring_the_o2_network_nearer() -> None:
    coarse, fine = (
        error(build("harmonic-cnn", side, width=4).double(), blobs(side, 45.0, count=4), blobs(side, count=4))
        for side in (29, 113)
    )
    assert fine < coarse / 2


# Filters.


def responses(filters: np.ndarray, degree: int, angle: float) -> np.ndarray:
    """Sums of products with all monomials of a degree, in coordinates turned by an angle."""
    reach = filters.shape[-1] // 2
    down, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    y = -down
    u, v = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
    return np.stack([(filters * u**k * v ** (degree - k)).sum(axis=(-2, -1)) for k in range(degree + 1)])


@pytest.mark.parametrize("kernel", PROFILES)
def test_turned_filters_answer_to_turned_polynomials_as_the_filters_to_polynomials(kernel: int) -> None:
    filters = turned(kernel, 8)
    for turn in range(8):
        gaps = [
            np.abs(responses(filters[turn], degree, turn * math.pi / 4) - responses(filters[0], degree, 0.0)).max()
            for degree in range(DEGREE + 3)
        ]
        assert max(gaps[: DEGREE + 1]) < 1e-8, "12 decimals at 37 pixels, times a radius to the fourth"
        if turn % 2:
            assert gaps[DEGREE + 2] > 1e-2, "of a higher degree they do not: it is the profiles' doing"


def test_a_wave_without_such_profiles_answers_to_a_constant() -> None:
    y, x = np.mgrid[-2:3, -2:3]
    four = np.exp(-((np.hypot(x, y) - 2) ** 2)) * np.cos(4 * np.arctan2(y, x))
    assert abs(four[np.hypot(x, y) < 2.5].sum()) > 0.1


@pytest.mark.parametrize("kernel", PROFILES)
def test_harmonics_have_their_angles_and_the_grids_symmetries_bit_for_bit(kernel: int) -> None:
    reach = kernel // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    phi = np.arctan2(-y, x)
    assert tuple(len(harmonics(kernel, order)) for order in range(5)) == PROFILES[kernel]
    for order in range(5):
        for cosine, sine in harmonics(kernel, order):
            # cos sin(m phi) = sin cos(m phi) wherever both are one profile's
            assert np.allclose(cosine * np.sin(order * phi), sine * np.cos(order * phi), atol=1e-11)
            assert np.array_equal(cosine[::-1], cosine)
            assert np.array_equal(sine[::-1], -sine)
            wave = (np.rot90(cosine) + 1j * np.rot90(sine)) * 1j**order
            assert np.array_equal(wave, cosine + 1j * sine)
            assert math.isclose((cosine**2 + sine**2).sum(), 2 if order else 1, rel_tol=1e-9)


def test_regular_convolution_is_equivariant() -> None:
    """A quarter turn of the input turns the maps, and moves every one of 8 orientations on by 2."""
    torch.manual_seed(0)
    lift = RegularConv(2, 3, order=8, orientations=1, kernel=5).double()
    group = RegularConv(3, 4, order=8, orientations=8, kernel=5).double()
    once = lift(torch.rand(2, 2, 1, 9, 9, generator=torch.Generator().manual_seed(1)).double())
    x = torch.rand(2, 2, 1, 9, 9, generator=torch.Generator().manual_seed(1)).double()

    def moved(maps: Tensor, by: int = 2) -> Tensor:
        return torch.rot90(maps, 1, (-2, -1)).roll(by, dims=2)

    assert torch.allclose(lift(torch.rot90(x, 1, (-2, -1))), moved(once), atol=1e-12)
    assert torch.allclose(group(moved(once)), moved(group(once)), atol=1e-12)
    assert not torch.allclose(group(moved(once, 1)), moved(group(once), 1), atol=1e-3)


def test_harmonic_convolution_is_equivariant_under_turns_and_mirrors() -> None:
    """A quarter turn multiplies order m by i^m; a mirror across the horizontal axis conjugates."""
    torch.manual_seed(0)
    lift = HarmonicConv(2, 3, orders=(0,), kernel=5).double()
    inner = HarmonicConv(3, 4, orders=ORDERS, kernel=5).double()
    x = torch.rand(2, 2, 1, 9, 9).double()
    turn = torch.block_diag(torch.eye(1), torch.tensor([[0.0, -1.0], [1.0, 0.0]]), -torch.eye(2)).double()
    conjugate = torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0, -1.0])).double()

    def mixed(matrix: Tensor, maps: Tensor) -> Tensor:
        return torch.einsum("ij,ncjhw->ncihw", matrix, maps)

    for move, matrix in ((quarter, turn), (upside_down, conjugate)):
        once = lift(x)
        assert torch.allclose(lift(move(x)), mixed(matrix, move(once)), atol=1e-12)
        assert torch.allclose(inner(mixed(matrix, move(once))), mixed(matrix, move(inner(once))), atol=1e-12)
        assert not torch.allclose(lift(move(x)), move(once), atol=1e-3), "orders above 0 do turn"


@pytest.mark.parametrize("side", [8, 9])
def test_halving_keeps_turns_and_mirrors_on_every_side(side: int) -> None:
    x = torch.rand(2, 3, 5, side, side).double()
    halved = Halving()(x)
    assert halved.shape == (2, 3, 5, (side + 1) // 2, (side + 1) // 2)
    assert torch.allclose(Halving()(quarter(x)), quarter(halved), atol=1e-14)
    once = avg_pool2d(avg_pool2d(x.flatten(1, 2), 2, 1, 1), 2, 1, 1 if side % 2 else 0)
    again = avg_pool2d(avg_pool2d(once, 2, 1), 2) if side % 2 else avg_pool2d(once, 2)
    assert torch.allclose(halved.flatten(1, 2), again, atol=1e-14), "means of pairs, again and again"
    assert torch.allclose(quarter(x)[..., ::2, ::2], quarter(x[..., ::2, ::2])) == bool(side % 2)


# Options.


@pytest.mark.parametrize(("width", "order", "kernel", "channels"), [(5, 8, 5, 1), (3, 16, 7, 3), (2, 6, 5, 2)])
def test_parameters_of_the_regular_network(width: int, order: int, kernel: int, channels: int) -> None:
    functions = PROFILES[kernel][0] + 2 * sum(PROFILES[kernel][1:])
    w = width
    filters = (channels * w + order * (2 * w * w + 2 * 4 * w * w)) * functions
    expected = filters + 2 * (w + 3 * 2 * w) + 10 * 2 * w + 10
    module = build("regular-cnn", 29, channels=channels, width=w, order=order, kernel=kernel)
    assert sum(p.numel() for p in module.parameters()) == expected


@pytest.mark.parametrize(("width", "kernel", "channels"), [(8, 5, 1), (3, 7, 3)])
def test_parameters_of_the_harmonic_network(width: int, kernel: int, channels: int) -> None:
    p, w = PROFILES[kernel], width
    lifting = p[0] + p[1] + p[2]
    inner = p[0] + 2 * p[1] + 2 * p[2] + (p[0] + p[2]) + 2 * (p[1] + p[3]) + (p[0] + p[4])
    filters = channels * w * lifting + (2 * w * w + 2 * 4 * w * w) * inner
    norms = (2 + 2) * (w + 3 * 2 * w)  # weight and bias of order 0, a bias of each other
    module = build("harmonic-cnn", 29, channels=channels, width=w, kernel=kernel)
    assert sum(q.numel() for q in module.parameters()) == filters + norms + 10 * 3 * 2 * w + 10


@pytest.mark.parametrize("options", [{"order": 3}, {"order": 17}, {"kernel": 4}, {"order": 8.0}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        MODELS.row("regular-cnn").options(**options)
